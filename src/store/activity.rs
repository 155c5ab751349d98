//! Owns reading the audit log for the one person it concerns: page by page, or about one object.

use super::{
    Error, Store,
    audit::{AuditEntry, entry},
    row::binds,
};
use crate::model::error::Error as ModelError;

/// Entries of one user looked through for those about one object.
const LOOKED_THROUGH: i64 = 5000;

impl Store {
    /// What concerns this user with the id of each entry, newest first, at most `limit`; with `before`, such an id, only
    /// older ones.
    ///
    /// # Errors
    /// [`Error::Refused`] when `before` is no entry's id.
    pub async fn audit_of_user(
        &self,
        user_id: &str,
        before: Option<&str>,
        limit: i64,
    ) -> Result<Vec<(String, AuditEntry)>, Error> {
        let (at, id) = before.map_or(Ok((i64::MAX, "")), place)?;
        let rows = self
            .rows(
                "SELECT at, event, actor, user_id, client_id, object, outcome, reason, address, request_id, times, id
                 FROM audit WHERE user_id = $1 AND at <= $2 AND (at < $2 OR id < $3) ORDER BY at DESC, id DESC LIMIT $4",
                binds![user_id, at, id, limit],
            )
            .await?;
        rows.into_iter().map(|mut row| Ok((row.text(11)?, entry(&mut row)?))).collect()
    }

    /// What concerns one object of this user, newest first, at most `limit`, among the user's newest 5,000 entries.
    pub async fn audit_of_object(&self, user_id: &str, object: &str, limit: i64) -> Result<Vec<AuditEntry>, Error> {
        let rows = self
            .rows(
                "SELECT at, event, actor, user_id, client_id, object, outcome, reason, address, request_id, times
                 FROM (SELECT * FROM audit WHERE user_id = $1 ORDER BY at DESC, id DESC LIMIT $4) AS newest
                 WHERE object = $2 ORDER BY at DESC, id DESC LIMIT $3",
                binds![user_id, object, limit, LOOKED_THROUGH],
            )
            .await?;
        rows.into_iter().map(|mut row| entry(&mut row)).collect()
    }
}

/// The moment with which an entry's id begins, and the id.
fn place(id: &str) -> Result<(i64, &str), Error> {
    let at = id.get(..12).and_then(|text| i64::from_str_radix(text, 16).ok());
    at.filter(|_| id.bytes().all(|b| b.is_ascii_alphanumeric()))
        .map(|at| (at, id))
        .ok_or_else(|| ModelError::invalid_request("this is no place in the list").into())
}
