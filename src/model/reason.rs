//! Owns why a request is refused: the status and challenge it is answered with, the owner's text, the word for logs. The
//! caller learns no more than the RFC says. Does not render an answer; see `profile` and `http`.

use std::borrow::Cow;

use super::clock::Timestamp;

/// Why a request is refused, with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No credential was sent.
    Missing,
    /// The request can be read in two ways, or not at all; says how.
    Malformed(&'static str),
    /// Not one of ours, or damaged.
    Unknown,
    /// Of a kind that is not accepted here, such as a refresh token.
    WrongKind,
    /// Expired, and when.
    Expired(Option<Timestamp>),
    /// It was revoked, or its grant was, and when.
    Revoked(Option<Timestamp>),
    /// Its user, client, project or API is disabled or deleted.
    Disabled,
    /// A key outside its networks.
    Network,
    /// A key that is limited to networks, from an address that is not known.
    NoAddress,
    /// For another API.
    Audience,
    /// For another API, and so without this scope of the management API.
    AudienceScope(String),
    /// Valid, and without these scopes, space-delimited.
    Scope(String),
    /// Valid, and too narrow for what was asked, whatever its scopes.
    Narrow(Cow<'static, str>),
    /// Valid, and its user may not.
    Forbidden(&'static str),
    /// Valid, and no rule of the API allows the request.
    Route,
    /// Too many requests; says of what.
    Limited {
        /// Seconds to wait.
        retry_after: i64,
        /// In words for the owner.
        why: Cow<'static, str>,
    },
}

impl Reason {
    /// Every word of [`Self::as_str`].
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

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::AudienceScope(_) | Self::Scope(_) | Self::Narrow(_) | Self::Forbidden(_) | Self::Route => 403,
            Self::Limited { .. } => 429,
            _ => 401,
        }
    }

    /// `WWW-Authenticate`, where a Bearer client can do something about it (RFC 6750 §3.1: without a credential, no error
    /// code is named).
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        match self {
            Self::Missing => Some(challenge("", "")),
            Self::Scope(scope) | Self::AudienceScope(scope) => Some(challenge("insufficient_scope", scope)),
            reason => (reason.status() == 401).then(|| challenge("invalid_token", "")),
        }
    }

    /// In words for the owner of the credential, such as "expired 3 h ago".
    #[must_use]
    pub fn owner_text(&self, now: Timestamp) -> Cow<'static, str> {
        let since = |word: &str, at: &Option<Timestamp>| match at {
            Some(at) => format!("{word} {}", ago(now, *at)).into(),
            None => word.to_owned().into(),
        };
        match self {
            Self::Missing => "no credential was sent".into(),
            Self::Malformed(why) | Self::Forbidden(why) => (*why).into(),
            Self::Unknown => "no credential of this server, or one with a typing error".into(),
            Self::WrongKind => "not a credential for calling APIs, such as a refresh token".into(),
            Self::Expired(at) => since("expired", at),
            Self::Revoked(at) => since("revoked", at),
            Self::Disabled => "its user, project, app or API is disabled".into(),
            Self::Network => "the address is not in the key's list".into(),
            Self::NoAddress => {
                "the key is limited to networks, and the sender's address is not known: a proxy is missing in \
                                trusted_proxies, or the API did not send ip_address"
                    .into()
            }
            Self::Audience => "it is for another API".into(),
            Self::Scope(scope) | Self::AudienceScope(scope) => format!("scope {scope} missing").into(),
            Self::Narrow(why) | Self::Limited { why, .. } => why.clone(),
            Self::Route => "no rule of the API allows this request".into(),
        }
    }
}

/// A Bearer challenge (RFC 6750 §3), with an error and a scope where they are not empty.
#[must_use]
pub fn challenge(error: &str, scope: &str) -> String {
    let mut text = "Bearer realm=\"grantd\"".to_owned();
    for (name, value) in [("error", error), ("scope", scope)].into_iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!(", {name}=\"{value}\""));
    }
    text
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
