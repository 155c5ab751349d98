//! Owns the only error value: a code, a public message, a private cause. Does not render it; see `http::error`.

use std::{borrow::Cow, error::Error as StdError, fmt};

/// The kind of an error, as named by the standards. The code determines the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// RFC 6749 §5.2, §4.1.2.1.
    InvalidRequest,
    /// RFC 6749 §5.2: client authentication failed.
    InvalidClient,
    /// RFC 6749 §5.2: code or refresh token invalid, expired, revoked or another client's.
    InvalidGrant,
    /// RFC 6749 §5.2: the client may not use this grant type.
    UnauthorizedClient,
    /// RFC 6749 §5.2.
    UnsupportedGrantType,
    /// RFC 6749 §4.1.2.1.
    UnsupportedResponseType,
    /// RFC 6749 §5.2.
    InvalidScope,
    /// RFC 8707 §2.
    InvalidTarget,
    /// RFC 6749 §4.1.2.1: the resource owner denied the request.
    AccessDenied,
    /// OpenID Connect Core §3.1.2.6.
    LoginRequired,
    /// OpenID Connect Core §3.1.2.6.
    ConsentRequired,
    /// OpenID Connect Core §3.1.2.6: `request` is not supported.
    RequestNotSupported,
    /// OpenID Connect Core §3.1.2.6: `request_uri` is not supported.
    RequestUriNotSupported,
    /// RFC 6750 §3.1: the credential is missing, malformed, expired or revoked.
    InvalidToken,
    /// A page's form came from another site, or the user may not do this.
    Forbidden,
    /// RFC 6750 §3.1: the credential is valid, but its scopes are not sufficient.
    InsufficientScope,
    /// The resource does not exist, or belongs to another user.
    NotFound,
    /// Sent to a host name that is not ours (RFC 9110 §15.5.20).
    MisdirectedRequest,
    /// RFC 9110 §15.5.6.
    MethodNotAllowed,
    /// RFC 9110 §15.5.10: in conflict with existing data.
    Conflict,
    /// RFC 9110 §15.5.21: the same Idempotency-Key with two different requests.
    IdempotencyMismatch,
    /// RFC 9110 §15.5.14.
    ContentTooLarge,
    /// RFC 9110 §15.5.16.
    UnsupportedMediaType,
    /// RFC 6585 §4.
    TooManyRequests,
    /// RFC 6749 §4.1.2.1: an internal error.
    ServerError,
    /// RFC 6749 §4.1.2.1: the store is unreachable or the queue is full; retry later.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The value of the `error` member.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::InvalidToken => "invalid_token",
            Self::Forbidden => "forbidden",
            Self::InsufficientScope => "insufficient_scope",
            Self::NotFound => "not_found",
            Self::MisdirectedRequest => "misdirected_request",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::ContentTooLarge => "content_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooManyRequests => "too_many_requests",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The HTTP status of a direct response (not of a redirect).
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidClient | Self::InvalidToken => 401,
            Self::Forbidden | Self::InsufficientScope => 403,
            Self::NotFound => 404,
            Self::MisdirectedRequest => 421,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::IdempotencyMismatch => 422,
            Self::ContentTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::TooManyRequests => 429,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}

/// An error with a public message and a private cause; the cause is logged once at the edge and never sent.
#[derive(Debug)]
pub struct Error {
    /// The code.
    pub code: ErrorCode,
    /// Message for the caller; never contains a secret, a host or a query.
    pub description: Cow<'static, str>,
    /// Seconds after which to retry, if known.
    pub retry_after: Option<i64>,
    /// The internal cause.
    pub cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `code` with a message for the caller.
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into(), retry_after: None, cause: None }
    }

    /// The same error with its internal cause, for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// RFC 6749 `invalid_request`.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// RFC 6749 `invalid_client`; always the same text, so as not to reveal which half was wrong.
    #[must_use]
    pub fn invalid_client() -> Self {
        Self::new(ErrorCode::InvalidClient, "client authentication failed")
    }

    /// RFC 6749 `invalid_grant`.
    pub fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidGrant, description)
    }

    /// RFC 6749 `invalid_scope`.
    pub fn invalid_scope(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidScope, description)
    }

    /// RFC 6585 §4 `too_many_requests`, with the seconds to wait.
    pub fn too_many(wait_seconds: i64, description: impl Into<Cow<'static, str>>) -> Self {
        Self { retry_after: Some(wait_seconds), ..Self::new(ErrorCode::TooManyRequests, description) }
    }

    /// The resource does not exist, or belongs to another user.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "there is nothing at this address")
    }

    /// An internal error, with its cause for the log.
    pub fn server(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorCode::ServerError, "internal server error").because(cause)
    }

    /// The store is unreachable or too busy; the caller should retry.
    pub fn unavailable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorCode::TemporarilyUnavailable, "the service is temporarily unavailable; try again").because(cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.description)?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {}
