//! Owns the principal of a valid credential, and the rejection of any other. Does not decide validity; see
//! `engine::verify`.

use std::net::IpAddr;

use super::{clock::Timestamp, network::Networks, reason::Reason, scope::Scopes};

/// The kind of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A JWT access token (RFC 9068).
    AccessToken,
    /// An API key.
    ApiKey,
}

impl CredentialKind {
    /// The value of the `credential` member.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::ApiKey => "api_key",
        }
    }
}

/// The user that a credential belongs to.
#[derive(Clone, Debug)]
pub struct PrincipalUser {
    /// `user_…`.
    pub id: String,
    /// Display name.
    pub name: String,
}

/// The origin of a credential's request, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presentation<'a> {
    /// The sender's address.
    pub address: Option<IpAddr>,
    /// The `User-Agent`.
    pub agent: Option<&'a str>,
}

/// The plan whose quota a credential uses.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Name of the plan.
    pub plan: String,
    /// The subject of the count: a user, a project or key with a plan of its own, or a client acting on its own.
    pub subject: String,
}

/// The identity and permissions that a valid credential gives.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Token or key.
    pub kind: CredentialKind,
    /// `sub`: a user, or the client itself.
    pub subject: String,
    /// The client that holds the token; `None` for a key.
    pub client_id: Option<String>,
    /// The user, if there is one.
    pub user: Option<PrincipalUser>,
    /// Its scopes.
    pub scopes: Scopes,
    /// Audience URIs.
    pub audience: Vec<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The token's `jti`, or the key's id.
    pub token_id: String,
    /// The grant that a token belongs to.
    pub grant_id: Option<String>,
    /// The plan whose quota it uses; for a client on its own, only if one is configured.
    pub quota: Option<Quota>,
    /// The key.
    pub key: Option<PrincipalKey>,
}

/// The properties of a key, apart from its secret.
#[derive(Clone, Debug)]
pub struct PrincipalKey {
    /// `key_…`.
    pub id: String,
    /// Its owner's name for it.
    pub name: String,
    /// `live`, `test`, or another configured name.
    pub environment: String,
    /// Its project's id and name.
    pub project: Option<(String, String)>,
    /// The networks in which it may be used.
    pub networks: Networks,
}

/// A credential that is not accepted or not sufficient, with its owner if known.
#[derive(Clone, Debug)]
#[must_use = "a rejection is recorded"]
pub struct Rejection {
    /// The reason.
    pub reason: Reason,
    /// Token or key, if known.
    pub kind: Option<CredentialKind>,
    /// The key.
    pub key_id: Option<String>,
    /// Its owner, or the user that a token belongs to.
    pub user_id: Option<String>,
    /// The client that holds the token.
    pub client_id: Option<String>,
}

impl Rejection {
    /// A rejection of an unknown or missing credential.
    pub fn unknown(reason: Reason) -> Self {
        Self { reason, kind: None, key_id: None, user_id: None, client_id: None }
    }

    /// A rejection of the valid credential of `principal`.
    pub fn of(reason: Reason, principal: &Principal) -> Self {
        Self {
            reason,
            kind: Some(principal.kind),
            key_id: principal.key.as_ref().map(|key| key.id.clone()),
            user_id: principal.user.as_ref().map(|user| user.id.clone()),
            client_id: principal.client_id.clone(),
        }
    }
}
