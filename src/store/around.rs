//! Owns the context of a write. `tx`, `sessions` and `idempotency` use it.

use std::sync::Arc;

use crate::model::{clock::Timestamp, secret::Digest};

/// The context of a write.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// The session that must still be live; see [`super::Store::in_session`].
    pub session: Option<SessionOf>,
    /// The response to store with the write; see [`super::Store::storing`].
    pub response: Option<Arc<StoredResponse>>,
}

/// A response to be stored with the write that it reports.
#[derive(Debug)]
pub struct StoredResponse {
    /// The caller.
    pub actor: String,
    /// The `Idempotency-Key`.
    pub name: String,
    /// Digest of the request.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// The sealed body.
    pub sealed: String,
    /// When it is no longer replayed.
    pub expires_at: Timestamp,
}

/// A session and its user, on which that user's changes depend.
#[derive(Clone, Debug)]
pub(super) struct SessionOf {
    pub(super) digest: Digest,
    pub(super) user_id: String,
}
