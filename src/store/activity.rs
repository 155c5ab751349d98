//! Owns reading the audit log for the one user it concerns: page by page, or for one object.

use super::{
    Error, Store,
    audit::{AuditEntry, audit_columns},
    row::binds,
};
use crate::model::error::Error as ModelError;

impl Store {
    /// Entries that concern this user, each with its id, newest first, at most `limit`. With `before`, an entry's id,
    /// only older ones.
    ///
    /// # Errors
    /// [`Error::Refused`] when `before` is not an entry's id.
    pub async fn audit_of_user(
        &self,
        user_id: &str,
        before: Option<&str>,
        limit: i64,
    ) -> Result<Vec<(String, AuditEntry)>, Error> {
        let (at, id) = before.map_or(Ok((i64::MAX, "")), place)?;
        const OF_USER: &str = concat!(
            "SELECT id, ",
            audit_columns!(),
            " FROM audit WHERE user_id = $1 AND at <= $2 AND (at < $2 OR id < $3) ORDER BY at DESC, id DESC LIMIT $4"
        );
        self.list(OF_USER, binds![user_id, at, id, limit]).await
    }

    /// Entries that concern one object of this user, newest first, at most `limit`.
    pub async fn audit_of_object(&self, user_id: &str, object: &str, limit: i64) -> Result<Vec<AuditEntry>, Error> {
        // COALESCE keeps the index on the user from being used: an object has few entries, a user may have very many.
        const OF_OBJECT: &str = concat!(
            "SELECT ",
            audit_columns!(),
            " FROM audit WHERE COALESCE(user_id, '') = $1 AND object = $2 ORDER BY at DESC, id DESC LIMIT $3"
        );
        self.list(OF_OBJECT, binds![user_id, object, limit]).await
    }
}

/// The time with which an entry's id begins, and the id.
fn place(id: &str) -> Result<(i64, &str), Error> {
    let at = id.get(..12).and_then(|text| i64::from_str_radix(text, 16).ok());
    at.filter(|_| id.bytes().all(|b| b.is_ascii_alphanumeric()))
        .map(|at| (at, id))
        .ok_or_else(|| ModelError::invalid_request("invalid list position").into())
}
