//! Owns responses that a retry with the same `Idempotency-Key` gets again. A response may hold a key that is shown once, so
//! it is stored encrypted.

use zeroize::Zeroizing;

use super::master::{MasterKey, Purpose};
use crate::{
    model::{clock::Timestamp, error::Error, secret::Digest},
    store::{Store, StoredResponse},
};

/// How long a response is kept for retries, in seconds.
const KEPT_SECONDS: i64 = 86_400;

/// A request with an `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct IdempotentRequest {
    /// The credential that sends it.
    pub actor: String,
    /// The `Idempotency-Key`.
    pub name: String,
    /// Digest of the request.
    pub request: Digest,
}

/// What was answered before.
#[derive(Debug)]
pub enum Replay {
    /// Nothing.
    None,
    /// Another request under the same name.
    Mismatch,
    /// This: status and body.
    Stored(u16, Zeroizing<Vec<u8>>),
}

/// Encrypts and decrypts stored responses.
#[derive(Debug)]
pub struct Idempotency {
    master: MasterKey,
}

impl Idempotency {
    /// Under a subkey of its own.
    #[must_use]
    pub fn new(master: MasterKey) -> Self {
        Self { master }
    }

    /// The response to an earlier request of this name.
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

    /// A response to store.
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
            expires_at: now.plus_seconds(KEPT_SECONDS),
        })
    }
}

/// What a response is bound to: it decrypts for the same request alone.
fn context(request: &IdempotentRequest) -> String {
    format!("{} {} {}", request.actor, request.request.text(), request.name)
}
