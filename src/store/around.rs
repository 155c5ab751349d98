//! Owns what belongs to a write beside its body. What becomes of it is `tx`'s, `sessions`' and `idempotency`'s.

use std::sync::Arc;

use crate::model::{clock::Timestamp, secret::Digest};

/// What belongs to a write beside its body.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// The session that must not have ended; see [`super::Store::in_session`].
    pub session: Option<SessionOf>,
    /// Stored with the write; see [`super::Store::storing`].
    pub response: Option<Arc<StoredResponse>>,
}

/// A response to be stored with the write that it reports.
#[derive(Debug)]
pub struct StoredResponse {
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

/// A session and whose it is: what a change by that person depends on.
#[derive(Clone, Debug)]
pub(super) struct SessionOf {
    pub(super) digest: Digest,
    pub(super) user_id: String,
}
