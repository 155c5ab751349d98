//! Owns the principal: what a valid credential stands for. Does not decide validity; see `engine::verify`.

use super::{clock::Timestamp, scope::Scopes};

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
    /// Name of the plan.
    pub plan: String,
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
    /// `live` or `test`.
    pub environment: String,
}

/// Why a credential is not accepted. For the owner and the audit log; the caller learns no more than the RFC says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Not one of ours, or damaged.
    Unknown,
    /// Past its end.
    Expired,
    /// Revoked, or its grant was.
    Revoked,
    /// The user, client or API behind it is disabled or gone.
    Disabled,
    /// Of a kind that is not accepted here, such as a refresh token.
    WrongKind,
}

impl Denial {
    /// One word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Disabled => "disabled",
            Self::WrongKind => "wrong_kind",
        }
    }
}
