//! Owns the principal: what a valid credential stands for, and why another stands for nothing. Does not decide validity;
//! see `engine::verify`.

use std::net::IpAddr;

use super::{clock::Timestamp, network::Networks, scope::Scopes};

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

/// Why a request is refused. For the owner and the audit log; the caller learns no more than the RFC says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
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
    /// A key that may not be used from where it was.
    Network,
    /// A key that is bound to networks was used from an address that is not known.
    NoAddress,
    /// For another API.
    Audience,
    /// Good, and without a scope that is needed.
    Scope,
    /// Good, and its user may not.
    Forbidden,
    /// Good, and no rule of the API allows the request.
    Route,
    /// Asked more often than it may.
    Limited,
    /// Two readings of the request.
    Malformed,
    /// There was none.
    Missing,
}

/// A credential that is not accepted, as far as it is known whose it is.
#[derive(Clone, Debug)]
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
    /// When it ended.
    pub since: Option<Timestamp>,
}

impl Rejection {
    /// A credential of nobody.
    #[must_use]
    pub fn unknown(reason: Reason) -> Self {
        Self { reason, kind: None, key_id: None, user_id: None, client_id: None, since: None }
    }

    /// What `principal` stands for, and yet it is refused.
    #[must_use]
    pub fn of(reason: Reason, principal: &Principal) -> Self {
        Self {
            reason,
            kind: Some(principal.kind),
            key_id: principal.key.as_ref().map(|key| key.id.clone()),
            user_id: principal.user.as_ref().map(|user| user.id.clone()),
            client_id: principal.client_id.clone(),
            since: None,
        }
    }

    /// The reason in words for the owner, such as "expired 3 h ago".
    #[must_use]
    pub fn why(&self, now: Timestamp) -> String {
        let since = self.since.map(|at| format!(" {}", ago(now, at))).unwrap_or_default();
        match self.reason {
            Reason::Unknown => "no credential of this server, or one with a typing error".to_owned(),
            Reason::Expired => format!("expired{since}"),
            Reason::Revoked => format!("revoked{since}"),
            Reason::Disabled => "its user, project, app or API is disabled".to_owned(),
            Reason::WrongKind => "not a credential for calling APIs, such as a refresh token".to_owned(),
            Reason::Network => "the address is not in the key's list".to_owned(),
            Reason::NoAddress => {
                "the key is bound to networks, and nobody knows the sender's address: a proxy is missing in \
                                  trusted_proxies, or the API did not send ip_address"
                    .to_owned()
            }
            Reason::Audience => "it is for another API".to_owned(),
            Reason::Scope => "a scope is missing".to_owned(),
            Reason::Forbidden => "its user may not do this".to_owned(),
            Reason::Route => "no rule of the API allows this request".to_owned(),
            Reason::Limited => "too many requests".to_owned(),
            Reason::Malformed => "the request has more than one reading".to_owned(),
            Reason::Missing => "no credential was sent".to_owned(),
        }
    }
}

/// How long ago, in its largest whole unit.
fn ago(now: Timestamp, at: Timestamp) -> String {
    match now.seconds() - at.seconds() {
        ..60 => "just now".to_owned(),
        seconds @ ..3600 => format!("{} min ago", seconds / 60),
        seconds @ ..86_400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::Unknown,
        Self::Expired,
        Self::Revoked,
        Self::Disabled,
        Self::WrongKind,
        Self::Network,
        Self::NoAddress,
        Self::Audience,
        Self::Scope,
        Self::Forbidden,
        Self::Route,
        Self::Limited,
        Self::Malformed,
        Self::Missing,
    ];

    /// The kind that [`Self::as_str`] names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|denial| denial.as_str() == text)
    }

    /// One word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Disabled => "disabled",
            Self::WrongKind => "wrong_kind",
            Self::Network => "network",
            Self::NoAddress => "no_address",
            Self::Audience => "audience",
            Self::Scope => "scope",
            Self::Forbidden => "forbidden",
            Self::Route => "route",
            Self::Limited => "limited",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
        }
    }
}
