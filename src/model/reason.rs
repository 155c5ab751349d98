//! Owns the reasons why a request is refused: status, challenge, the owner's text, the word for logs. The caller learns
//! no more than the RFC requires. Does not render a response; see `profile` and `http`.

use std::borrow::Cow;

use super::clock::Timestamp;

/// Why a request is refused, with the known details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No credential was sent.
    Missing,
    /// The request is ambiguous or unreadable; says how.
    Malformed(&'static str),
    /// Not one of our credentials, or damaged.
    Unknown,
    /// Of a kind that is not accepted here, such as a refresh token.
    WrongKind,
    /// Expired, and when.
    Expired(Option<Timestamp>),
    /// The credential or its grant was revoked, and when.
    Revoked(Option<Timestamp>),
    /// Its user, client, project or API is disabled or deleted.
    Disabled,
    /// A key used outside its networks.
    Network,
    /// A key restricted to networks, used from an unknown address.
    NoAddress,
    /// For another API.
    Audience,
    /// For another API, and so without this scope of the management API.
    AudienceScope(String),
    /// Valid, but without these scopes, space-delimited.
    Scope(String),
    /// Valid, but too narrow for the request, whatever its scopes.
    Narrow(Cow<'static, str>),
    /// Valid, but its user may not do this.
    Forbidden(&'static str),
    /// Valid, but no rule of the API allows the request.
    Route,
    /// Too many requests; says of what kind.
    Limited {
        /// Seconds to wait.
        retry_after: i64,
        /// The reason in words, for the owner.
        why: Cow<'static, str>,
    },
}

impl Reason {
    /// Every value of [`Self::as_str`].
    pub const WORDS: [&str; 14] = [
        "missing",
        "malformed",
        "unknown",
        "wrong_kind",
        "expired",
        "revoked",
        "disabled",
        "network",
        "no_address",
        "audience",
        "scope",
        "forbidden",
        "route",
        "limited",
    ];

    /// One word for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::Unknown => "unknown",
            Self::WrongKind => "wrong_kind",
            Self::Expired(_) => "expired",
            Self::Revoked(_) => "revoked",
            Self::Disabled => "disabled",
            Self::Network => "network",
            Self::NoAddress => "no_address",
            Self::Audience | Self::AudienceScope(_) => "audience",
            Self::Scope(_) | Self::Narrow(_) => "scope",
            Self::Forbidden(_) => "forbidden",
            Self::Route => "route",
            Self::Limited { .. } => "limited",
        }
    }

    /// The HTTP status of the response.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::AudienceScope(_) | Self::Scope(_) | Self::Narrow(_) | Self::Forbidden(_) | Self::Route => 403,
            Self::Limited { .. } => 429,
            _ => 401,
        }
    }

    /// `WWW-Authenticate`, if a Bearer client can act on it (RFC 6750 §3.1: without a credential, no error code is
    /// given).
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        match self {
            Self::Missing => Some(challenge("", "")),
            Self::Scope(scope) | Self::AudienceScope(scope) => Some(challenge("insufficient_scope", scope)),
            reason => (reason.status() == 401).then(|| challenge("invalid_token", "")),
        }
    }

    /// The reason in words for the owner of the credential, such as "expired 3 h ago".
    #[must_use]
    pub fn owner_text(&self, now: Timestamp) -> Cow<'static, str> {
        let since = |word: &str, at: &Option<Timestamp>| match at {
            Some(at) => format!("{word} {}", ago(now, *at)).into(),
            None => word.to_owned().into(),
        };
        match self {
            Self::Missing => "no credential was sent".into(),
            Self::Malformed(why) | Self::Forbidden(why) => (*why).into(),
            Self::Unknown => "not a credential of this server, or mistyped".into(),
            Self::WrongKind => "not a credential for calling APIs, such as a refresh token".into(),
            Self::Expired(at) => since("expired", at),
            Self::Revoked(at) => since("revoked", at),
            Self::Disabled => "its user, project, app or API is disabled".into(),
            Self::Network => "the sender's address is not in the key's allowed networks".into(),
            Self::NoAddress => {
                "the key is limited to networks, and the sender's address is unknown: a proxy is missing in \
                                trusted_proxies, or the API did not send ip_address"
                    .into()
            }
            Self::Audience => "the credential is for another API".into(),
            Self::Scope(scope) | Self::AudienceScope(scope) => format!("missing scope {scope}").into(),
            Self::Narrow(why) | Self::Limited { why, .. } => why.clone(),
            Self::Route => "no rule of the API allows this request".into(),
        }
    }
}

/// A Bearer challenge (RFC 6750 §3), with an error and a scope unless they are empty.
#[must_use]
pub fn challenge(error: &str, scope: &str) -> String {
    let mut text = "Bearer realm=\"grantd\"".to_owned();
    for (name, value) in [("error", error), ("scope", scope)].into_iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!(", {name}=\"{value}\""));
    }
    text
}

/// The time since `at`, in its largest whole unit.
fn ago(now: Timestamp, at: Timestamp) -> String {
    match now.seconds() - at.seconds() {
        ..60 => "just now".to_owned(),
        seconds @ ..3600 => format!("{} min ago", seconds / 60),
        seconds @ ..86_400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}
