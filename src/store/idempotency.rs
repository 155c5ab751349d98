//! Owns the `idempotency` table: responses stored for retries, in the transaction that they report. Does not seal them;
//! see `engine::idempotency`.

use std::sync::Arc;

use super::{
    Error, Store,
    around::StoredResponse,
    row::{binds, record},
    tx::Tx,
};
use crate::model::clock::Timestamp;

/// A stored response.
#[derive(Debug)]
pub struct SealedResponse {
    /// Digest of the request.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// The sealed body.
    pub sealed: String,
}

record! {
    response_columns: SealedResponse { request: "request", status: "status", sealed: "sealed" }
}

impl Tx {
    /// Stores the response if anything was changed. Of two identical concurrent requests, the second waits for the
    /// first and is then rolled back.
    pub(super) async fn store_response(
        &mut self,
        now: Timestamp,
        response: Option<&StoredResponse>,
    ) -> Result<(), Error> {
        let Some(response) = response.filter(|_| self.audited) else { return Ok(()) };
        let kept = self
            .execute(
                "INSERT INTO idempotency (actor, name, request, status, sealed, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (actor, name) DO UPDATE SET request = excluded.request, status = excluded.status,
                     sealed = excluded.sealed, expires_at = excluded.expires_at
                 WHERE idempotency.expires_at <= $7",
                binds![
                    &response.actor,
                    &response.name,
                    &response.request,
                    i64::from(response.status),
                    &response.sealed,
                    response.expires_at,
                    now,
                ],
            )
            .await?;
        if kept == 0 { Err(Error::Conflict) } else { Ok(()) }
    }
}

impl Store {
    /// This store, but its next write also stores `response` in the same transaction: either both happen or neither.
    pub fn storing(&self, response: Option<StoredResponse>) -> Self {
        let mut store = self.clone();
        store.around.response = response.map(Arc::new);
        store
    }

    /// The response stored for this caller under this `Idempotency-Key`.
    pub async fn find_response(
        &self,
        now: Timestamp,
        actor: &str,
        name: &str,
    ) -> Result<Option<SealedResponse>, Error> {
        const FIND: &str = concat!(
            "SELECT ",
            response_columns!(),
            " FROM idempotency WHERE actor = $1 AND name = $2 AND expires_at > $3"
        );
        self.find(FIND, binds![actor, name, now]).await
    }
}
