//! Owns the kinds of refusals that a profile can describe, with grantd's default texts.

use std::borrow::Cow;

use crate::model::{
    principal::{CredentialKind, Rejection},
    reason::Reason,
};

/// A kind of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No credential.
    Missing,
    /// A credential that is not accepted; also the two kinds below, unless the profile has tables for them.
    Invalid,
    /// An expired access token.
    ExpiredToken,
    /// An expired key.
    ExpiredKey,
    /// A revoked credential.
    Revoked,
    /// A valid credential that may not do this; also the next two kinds, unless the profile has tables for them.
    Forbidden,
    /// A valid credential without a scope that the request needs.
    Scope,
    /// A request with a valid credential that no rule matches.
    UnknownPath,
    /// Too many requests.
    Limited,
    /// An ambiguous or unreadable request.
    Malformed,
    /// The server cannot decide now.
    Unavailable,
}

/// grantd's default texts for a kind.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// HTTP status.
    pub status: u16,
    /// The code.
    pub code: &'static str,
    /// The message, which may have placeholders; empty where it depends on the profile.
    pub message: &'static str,
}

impl Kind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Missing,
        Self::Invalid,
        Self::ExpiredToken,
        Self::ExpiredKey,
        Self::Revoked,
        Self::Forbidden,
        Self::Scope,
        Self::UnknownPath,
        Self::Limited,
        Self::Malformed,
        Self::Unavailable,
    ];

    /// The kind of a rejection.
    pub fn of(rejection: &Rejection) -> Self {
        match &rejection.reason {
            Reason::Missing => Self::Missing,
            Reason::Expired(_) if rejection.kind == Some(CredentialKind::AccessToken) => Self::ExpiredToken,
            Reason::Expired(_) => Self::ExpiredKey,
            Reason::Revoked(_) => Self::Revoked,
            Reason::Scope(_) => Self::Scope,
            Reason::Route => Self::UnknownPath,
            Reason::AudienceScope(_) | Reason::Narrow(_) | Reason::Forbidden(_) => Self::Forbidden,
            Reason::Limited { .. } => Self::Limited,
            Reason::Malformed(_) => Self::Malformed,
            Reason::Unknown
            | Reason::WrongKind
            | Reason::Disabled
            | Reason::Network
            | Reason::NoAddress
            | Reason::Audience => Self::Invalid,
        }
    }

    /// The member of `refusals` in a profile.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::ExpiredToken => "expired_token",
            Self::ExpiredKey => "expired_key",
            Self::Revoked => "revoked",
            Self::Forbidden => "forbidden",
            Self::Scope => "scope",
            Self::UnknownPath => "unknown_path",
            Self::Limited => "limited",
            Self::Malformed => "malformed",
            Self::Unavailable => "unavailable",
        }
    }

    /// The kind whose refusal is used if a profile has no table for this one.
    pub fn part_of(self) -> Option<Self> {
        match self {
            Self::ExpiredToken | Self::ExpiredKey | Self::Revoked => Some(Self::Invalid),
            Self::Scope | Self::UnknownPath => Some(Self::Forbidden),
            _ => None,
        }
    }

    /// grantd's default texts.
    pub fn words(self) -> Words {
        let words = |status, code, message| Words { status, code, message };
        match self {
            Self::Missing => words(401, "missing_api_key", ""),
            Self::Invalid => words(401, "invalid_api_key", "The API key provided is invalid."),
            Self::ExpiredToken => words(401, "token_expired", "The access token has expired."),
            Self::ExpiredKey => words(401, "api_key_expired", "The API key has expired."),
            Self::Revoked => words(401, "credential_revoked", "The credential was revoked."),
            Self::Forbidden => words(403, "forbidden", "No rule of this API allows the request."),
            Self::Scope => words(403, "insufficient_scope", "This needs the scope {scope}."),
            Self::UnknownPath => words(404, "not_found", "There is nothing here."),
            Self::Limited => {
                words(429, "rate_limit_exceeded", "Rate limit exceeded. Try again in {retry_after} seconds.")
            }
            Self::Malformed => words(400, "invalid_request", "{reason}"),
            Self::Unavailable => words(503, "temporarily_unavailable", "{reason}"),
        }
    }

    /// The error in a Bearer challenge (RFC 6750 §3.1: none without a credential).
    pub fn bearer_error(self) -> &'static str {
        match self {
            Self::Missing => "",
            Self::Scope => "insufficient_scope",
            _ => "invalid_token",
        }
    }
}

/// The details of a refusal that its placeholders can show.
#[derive(Clone, Debug, Default)]
pub struct Details<'d> {
    /// The request's id.
    pub request_id: &'d str,
    /// The API's name.
    pub api: &'d str,
    /// The scope that is missing.
    pub scope: Option<&'d str>,
    /// Seconds to wait.
    pub retry_after: Option<i64>,
    /// What is wrong with the request, or with the server.
    pub reason: Option<Cow<'d, str>>,
}

impl<'d> Details<'d> {
    /// The details of a rejection.
    pub fn of(rejection: &'d Rejection) -> Self {
        match &rejection.reason {
            Reason::Scope(scope) => Self { scope: Some(scope), ..Self::default() },
            Reason::Limited { retry_after, .. } => Self { retry_after: Some(*retry_after), ..Self::default() },
            Reason::Malformed(why) => Self { reason: Some(Cow::Borrowed(why)), ..Self::default() },
            _ => Self::default(),
        }
    }
}
