//! Owns the principal: what a valid credential stands for, and why another stands for nothing. Does not decide validity;
//! see `engine::verify`.

use std::net::IpAddr;

use super::{clock::Timestamp, network::Networks, reason::Reason, scope::Scopes};

/// What was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A JWT access token (RFC 9068).
    AccessToken,
    /// An API key.
    ApiKey,
}

impl CredentialKind {
    /// The value of the `credential` member.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::ApiKey => "api_key",
        }
    }
}

/// A user behind a credential.
#[derive(Clone, Debug)]
pub struct PrincipalUser {
    /// `user_…`.
    pub id: String,
    /// Name to show.
    pub name: String,
}

/// Where a credential was presented, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presentation<'a> {
    /// Who sent it.
    pub address: Option<IpAddr>,
    /// With which `User-Agent`.
    pub agent: Option<&'a str>,
}

/// The plan a credential is measured by.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Name of the plan.
    pub plan: String,
    /// Whose requests are counted together: the user, the project or key that has a plan of its own, or a client on its own.
    pub subject: String,
}

/// What a valid credential stands for.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Token or key.
    pub kind: CredentialKind,
    /// `sub`: a user, or the client itself.
    pub subject: String,
    /// The client that holds the token; none for a key.
    pub client_id: Option<String>,
    /// The user, where there is one.
    pub user: Option<PrincipalUser>,
    /// What it may do.
    pub scopes: Scopes,
    /// Audience URIs.
    pub audience: Vec<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// `jti`: of the token, or the key's id.
    pub token_id: String,
    /// The grant behind a token.
    pub grant_id: Option<String>,
    /// The plan it is measured by; for a client on its own only where one is configured.
    pub quota: Option<Quota>,
    /// The key.
    pub key: Option<PrincipalKey>,
}

/// What is known of a key beside its secret.
#[derive(Clone, Debug)]
pub struct PrincipalKey {
    /// `key_…`.
    pub id: String,
    /// Its owner's name for it.
    pub name: String,
    /// `live`, `test`, or another name the deployment knows.
    pub environment: String,
    /// Its project's id and name.
    pub project: Option<(String, String)>,
    /// From where it may be used.
    pub networks: Networks,
}

/// A credential that is not accepted or not enough, as far as it is known whose it is.
#[derive(Clone, Debug)]
#[must_use = "a rejection is recorded"]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// Token or key, where it is known.
    pub kind: Option<CredentialKind>,
    /// The key.
    pub key_id: Option<String>,
    /// Its owner, or the user behind a token.
    pub user_id: Option<String>,
    /// The client that holds the token.
    pub client_id: Option<String>,
}

impl Rejection {
    /// A credential of nobody, or none.
    pub fn unknown(reason: Reason) -> Self {
        Self { reason, kind: None, key_id: None, user_id: None, client_id: None }
    }

    /// What `principal` stands for, and yet it is refused.
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
