//! Owns responses that are repeated for a retry with the same `Idempotency-Key`. A response may hold a key that is
//! shown once, so it is stored encrypted.

use std::time::Duration;

use zeroize::Zeroizing;

use super::master::{MasterKey, Purpose};
use crate::{
    model::{clock::Timestamp, error::Error, secret::Digest},
    store::{Store, StoredResponse},
};

/// Retention of a response for retries, in seconds.
const KEPT: Duration = Duration::from_hours(24);

/// A request with an `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct IdempotentRequest {
    /// The credential that sent it.
    pub actor: String,
    /// The `Idempotency-Key`.
    pub name: String,
    /// Digest of the request.
    pub request: Digest,
}

/// The outcome of looking for an earlier response.
#[derive(Debug)]
pub enum Replay {
    /// There is none.
    None,
    /// The name was used for a different request.
    Mismatch,
    /// The stored status and body.
    Stored(u16, Zeroizing<Vec<u8>>),
}

/// Encrypts and decrypts stored responses.
#[derive(Debug)]
pub struct Idempotency {
    master: MasterKey,
}

impl Idempotency {
    /// Uses a subkey of its own.
    pub fn new(master: MasterKey) -> Self {
        Self { master }
    }

    /// The response to an earlier request with this name.
    pub async fn find(&self, store: &Store, now: Timestamp, request: &IdempotentRequest) -> Result<Replay, Error> {
        let Some(stored) = store.find_response(now, &request.actor, &request.name).await? else {
            return Ok(Replay::None);
        };
        if stored.request != request.request.text() {
            return Ok(Replay::Mismatch);
        }
        let body = self.master.open(Purpose::Responses, &context(request), &stored.sealed)?;
        Ok(Replay::Stored(stored.status, body))
    }

    /// Encrypts a response for storage.
    pub fn seal(
        &self,
        now: Timestamp,
        request: &IdempotentRequest,
        status: u16,
        body: &[u8],
    ) -> Result<StoredResponse, Error> {
        Ok(StoredResponse {
            actor: request.actor.clone(),
            name: request.name.clone(),
            request: request.request.text(),
            status,
            sealed: self.master.seal(Purpose::Responses, &context(request), body)?,
            expires_at: now + KEPT,
        })
    }
}

/// The encryption context of a response: it decrypts only for the same request.
fn context(request: &IdempotentRequest) -> String {
    format!("{} {} {}", request.actor, request.request.text(), request.name)
}
