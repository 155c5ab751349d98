//! Owns the `idempotency` table: answers kept in the transaction of what they tell, for whoever asks again. Does not seal
//! them; see `engine::answers`.

use std::sync::Arc;

use super::{Error, Store, row::binds, tx::Tx};
use crate::model::clock::Timestamp;

/// An answer to be kept with the write it tells of.
#[derive(Debug)]
pub struct KeptAnswer {
    /// Who asked.
    pub actor: String,
    /// The `Idempotency-Key`.
    pub name: String,
    /// Digest of the request.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// The body, sealed.
    pub sealed: String,
    /// Until when it is given again.
    pub expires_at: Timestamp,
}

/// An answer that was kept.
#[derive(Debug)]
pub struct Answered {
    /// Digest of the request.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// The body, sealed.
    pub sealed: String,
}

impl Tx {
    /// Keeps the answer if anything was done. A twin that comes second waits for the first and finds its answer: then its
    /// own work is undone.
    pub(super) async fn keep_answer(&mut self, now: Timestamp, answer: Option<&KeptAnswer>) -> Result<(), Error> {
        let Some(answer) = answer.filter(|_| self.audited) else { return Ok(()) };
        let kept = self
            .execute(
                "INSERT INTO idempotency (actor, name, request, status, sealed, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (actor, name) DO UPDATE SET request = excluded.request, status = excluded.status,
                     sealed = excluded.sealed, expires_at = excluded.expires_at
                 WHERE idempotency.expires_at <= $7",
                binds![
                    &answer.actor,
                    &answer.name,
                    &answer.request,
                    i64::from(answer.status),
                    &answer.sealed,
                    answer.expires_at,
                    now,
                ],
            )
            .await?;
        if kept == 0 { Err(Error::Conflict) } else { Ok(()) }
    }
}

impl Store {
    /// This store, whose next write also keeps `answer`, in the same transaction: either both happen or neither.
    #[must_use]
    pub fn answering(&self, answer: Option<KeptAnswer>) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            freshness: Arc::clone(&self.freshness),
            meter: Arc::clone(&self.meter),
            wait: self.wait,
            answer: answer.map(Arc::new),
        }
    }

    /// The answer kept for this caller under this name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn kept_answer(&self, now: Timestamp, actor: &str, name: &str) -> Result<Option<Answered>, Error> {
        let row = self
            .row(
                "SELECT request, status, sealed FROM idempotency WHERE actor = $1 AND name = $2 AND expires_at > $3",
                binds![actor, name, now],
            )
            .await?;
        row.map(|mut row| {
            Ok(Answered {
                request: row.text(0)?,
                status: u16::try_from(row.int(1)?).map_err(|_| Error::Corrupt("a status"))?,
                sealed: row.text(2)?,
            })
        })
        .transpose()
    }
}
