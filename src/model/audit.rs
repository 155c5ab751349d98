//! Owns what an audit entry says. Does not write it; every change writes its own in its transaction.

use std::borrow::Cow;

use super::clock::Timestamp;

/// Where a request came from and who is behind it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Who acts: a user's or client's id, or `cli`, `system`, `anonymous`.
    pub actor: String,
    /// Address of the peer, after trusted proxies.
    pub address: String,
    /// Identifier of the request, as answered in `X-Request-ID`.
    pub request_id: String,
}

/// Something that is done: when, and by whom.
#[derive(Clone, Debug)]
pub struct Act {
    /// When.
    pub now: Timestamp,
    /// By whom, from where.
    pub origin: Origin,
}

/// One thing that happened. Never a token, code, secret, verifier or password.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Such as `code.redeem` or `key.revoke`.
    pub event: &'static str,
    /// The user concerned.
    pub user_id: Option<String>,
    /// The client concerned.
    pub client_id: Option<String>,
    /// The key, grant, token id or session concerned.
    pub object: Option<String>,
    /// Why it was refused; nothing means it succeeded.
    pub denied: Option<Cow<'static, str>>,
    /// How often, where equal events were counted together; 0 counts as 1.
    pub times: i64,
}

impl Event {
    /// An event that succeeded.
    #[must_use]
    pub fn new(event: &'static str) -> Self {
        Self { event, ..Self::default() }
    }

    /// Concerning this user.
    #[must_use]
    pub fn user(mut self, id: &str) -> Self {
        self.user_id = Some(id.to_owned());
        self
    }

    /// Concerning this client.
    #[must_use]
    pub fn client(mut self, id: &str) -> Self {
        self.client_id = Some(id.to_owned());
        self
    }

    /// Concerning this object.
    #[must_use]
    pub fn object(mut self, id: &str) -> Self {
        self.object = Some(id.to_owned());
        self
    }

    /// Refused, and why.
    #[must_use]
    pub fn denied(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.denied = Some(reason.into());
        self
    }
}
