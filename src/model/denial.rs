//! Owns what is kept of one refused request, for the owner of what it carried. Does not decide anything.

use super::{clock::Timestamp, principal::Denied};

/// One refused request.
#[derive(Clone, Debug)]
pub struct DenialRecord {
    /// Its identifier, as answered in `X-Request-ID`. May come from the sender: several may be alike.
    pub request_id: String,
    /// When.
    pub at: Timestamp,
    /// What it was answered.
    pub status: u16,
    /// Why, in words for the owner.
    pub reason: String,
    /// Slug of the API it was for.
    pub api: Option<String>,
    /// The key it carried.
    pub key_id: Option<String>,
    /// The user behind what it carried.
    pub user_id: Option<String>,
    /// The client that holds the token it carried.
    pub client_id: Option<String>,
    /// Who sent it.
    pub address: String,
}

impl DenialRecord {
    /// A refusal for this reason, of what `denied` knows.
    #[must_use]
    pub fn of(now: Timestamp, status: u16, reason: String, denied: Denied) -> Self {
        Self {
            request_id: String::new(),
            at: now,
            status,
            reason,
            api: None,
            key_id: denied.key_id,
            user_id: denied.user_id,
            client_id: denied.client_id,
            address: String::new(),
        }
    }
}
