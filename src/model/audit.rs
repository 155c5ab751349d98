//! Owns the contents of an audit entry. Does not write it; every change writes its own in its transaction.

use std::borrow::Cow;

use super::clock::Timestamp;

/// The origin of a request: its actor and its sender.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The actor: a user's or client's id, or `cli`, `system`, `anonymous`.
    pub actor: String,
    /// Address of the sender, behind trusted proxies.
    pub address: String,
    /// Identifier of the request, as sent in `X-Request-ID`.
    pub request_id: String,
}

impl Origin {
    /// The server itself.
    pub fn system() -> Self {
        Self { actor: "system".to_owned(), ..Self::default() }
    }
}

/// The time and origin of an action.
#[derive(Clone, Debug)]
pub struct Act {
    /// When it happens.
    pub now: Timestamp,
    /// The actor and its address.
    pub origin: Origin,
}

/// An event. Never contains a token, code, secret, verifier or password.
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
    /// Why it was refused; `None` if it succeeded.
    pub denied: Option<Cow<'static, str>>,
    /// What a change changed: values before and after.
    pub change: Option<String>,
    /// How often it happened, if equal events were counted together; 0 counts as 1.
    pub times: i64,
}

impl Event {
    /// An event that succeeded.
    pub fn new(event: &'static str) -> Self {
        Self { event, ..Self::default() }
    }

    /// Sets the user concerned.
    pub fn user(mut self, id: &str) -> Self {
        self.user_id = Some(id.to_owned());
        self
    }

    /// Sets the client concerned.
    pub fn client(mut self, id: &str) -> Self {
        self.client_id = Some(id.to_owned());
        self
    }

    /// Sets the object concerned.
    pub fn object(mut self, id: &str) -> Self {
        self.object = Some(id.to_owned());
        self
    }

    /// Sets what was changed: values before and after.
    pub fn change(mut self, change: String) -> Self {
        self.change = Some(change);
        self
    }

    /// Marks the event as refused, with the reason.
    pub fn denied(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.denied = Some(reason.into());
        self
    }
}
