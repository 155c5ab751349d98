//! Owns the `denials` table.

use super::{
    Error, Store,
    row::{Row, binds},
};
use crate::model::{
    clock::Timestamp,
    denial::{DenialRecord, DeniedRequest},
    reason::Reason,
    secret,
};

/// The columns of a refusal in every statement, and how many.
macro_rules! denial_columns {
    () => {
        "request_id, at, status, reason, api, key_id, user_id, client_id, address, kind, method, path, needs, holds"
    };
}
pub(super) use denial_columns;
pub(super) const COLUMNS_DENIAL: usize = 14;

/// Rows read at most.
const READ_MAX: i64 = 100;

impl Store {
    /// Writes refusals in one batch.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the caller keeps them.
    pub async fn insert_denials(&self, now: Timestamp, records: Vec<DenialRecord>) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                for record in &records {
                    let id = format!("{:012x}{}", record.at.0, secret::random_base62(10));
                    tx.execute(
                        "INSERT INTO denials (id, request_id, at, status, reason, api, key_id, user_id, client_id, address,
                                               kind, method, path, needs, holds)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
                        binds![
                            &id,
                            &record.request_id,
                            record.at,
                            i64::from(record.status),
                            &record.reason,
                            &record.api,
                            &record.key_id,
                            &record.user_id,
                            &record.client_id,
                            &record.address,
                            record.kind,
                            &record.asked.method,
                            &record.asked.path,
                            &record.asked.needs,
                            &record.asked.holds,
                        ],
                    )
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Refusals of a request, newest first; with `user_id`, only that user's.
    pub async fn denials_of_request(
        &self,
        request_id: &str,
        user_id: Option<&str>,
    ) -> Result<Vec<DenialRecord>, Error> {
        let rows = self
            .rows(
                concat!(
                    "SELECT ",
                    denial_columns!(),
                    " FROM denials
                 WHERE request_id = $1 AND ($2 IS NULL OR user_id = $2) ORDER BY at DESC, id LIMIT $3"
                ),
                binds![request_id, user_id, READ_MAX],
            )
            .await?;
        rows.into_iter().map(|mut row| record(&mut row)).collect()
    }

    /// A user's newest refusals, of one key or of all; at most 100.
    pub async fn denials_of_user(&self, user_id: &str, key_id: Option<&str>) -> Result<Vec<DenialRecord>, Error> {
        let rows = self
            .rows(
                concat!(
                    "SELECT ",
                    denial_columns!(),
                    " FROM denials
                 WHERE user_id = $1 AND ($2 IS NULL OR key_id = $2) ORDER BY at DESC, id LIMIT $3"
                ),
                binds![user_id, key_id, READ_MAX],
            )
            .await?;
        rows.into_iter().map(|mut row| record(&mut row)).collect()
    }
}

pub(super) fn record(row: &mut Row) -> Result<DenialRecord, Error> {
    Ok(DenialRecord {
        request_id: row.text(0)?,
        at: row.at(1)?,
        status: u16::try_from(row.int(2)?).map_err(|_| Error::Corrupt("a status"))?,
        reason: row.text(3)?,
        api: row.opt_text(4)?,
        key_id: row.opt_text(5)?,
        user_id: row.opt_text(6)?,
        client_id: row.opt_text(7)?,
        address: row.text(8)?,
        kind: row.opt_text(9)?.and_then(|word| Reason::WORDS.into_iter().find(|known| *known == word)),
        asked: DeniedRequest {
            method: row.opt_text(10)?,
            path: row.opt_text(11)?,
            needs: row.opt_text(12)?,
            holds: row.opt_text(13)?,
        },
    })
}
