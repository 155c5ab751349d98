//! Owns the renderings of an error. The cause is attached for the log and is never sent.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::reply;
use crate::model::{
    error::{Error, ErrorCode},
    principal::Rejection,
    profile::Kind,
    reason::{Reason, challenge},
};

/// Attached to a response for the edge, which has the request's id and renders it.
#[derive(Clone, Debug)]
pub struct PendingNotice {
    /// HTTP status.
    pub status: u16,
    /// A short heading.
    pub heading: &'static str,
    /// Advice for the reader.
    pub message: String,
    /// A next step: label and URL.
    pub link: Option<(String, String)>,
    /// Seconds after which to retry, if that may help and the time is known.
    pub retry_after: Option<i64>,
}

/// JSON as required by RFC 6749 §5.2.
#[derive(Debug)]
pub struct OAuthError(pub Error);

/// A notice page, for people.
#[derive(Debug)]
pub struct PageError(pub Error);

/// A resource server's refusal: RFC 6750 §3, with the body that API users expect.
#[derive(Debug)]
pub struct BearerError {
    /// The error.
    pub error: Error,
    /// `error` member of the body.
    pub name: &'static str,
}

impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<crate::store::Error> for OAuthError {
    fn from(error: crate::store::Error) -> Self {
        Self(error.into())
    }
}

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<crate::store::Error> for PageError {
    fn from(error: crate::store::Error) -> Self {
        Self(error.into())
    }
}

impl From<Error> for BearerError {
    fn from(error: Error) -> Self {
        Self { name: error.code.as_str(), error }
    }
}

impl From<Rejection> for BearerError {
    fn from(rejection: Rejection) -> Self {
        if let Reason::Limited { retry_after, why } = rejection.reason {
            return Error::too_many(retry_after, why).into();
        }
        // These endpoints have no API, and so no profile.
        let (name, message) = match Kind::of(&rejection) {
            Kind::Missing => (Kind::Missing.words().code, "No API key provided in the Authorization header."),
            kind @ Kind::ExpiredToken => (kind.words().code, kind.words().message),
            _ => (Kind::Invalid.words().code, Kind::Invalid.words().message),
        };
        Self { error: Error::new(ErrorCode::InvalidToken, message), name }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        reply::oauth_error(self.0)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let error = self.0;
        let mut response = Response::default();
        let pending = PendingNotice {
            status: error.code.status(),
            heading: title(error.code),
            message: error.description.to_string(),
            link: None,
            retry_after: error.retry_after,
        };
        response.extensions_mut().insert(pending);
        reply::finish(response, error)
    }
}

impl IntoResponse for BearerError {
    fn into_response(self) -> Response {
        let error = self.error;
        let body = json!({ "error": self.name, "message": error.description });
        let mut response = reply::json_bytes(body.to_string().into_bytes());
        let challenge = match (error.code, self.name) {
            (ErrorCode::InvalidToken, "missing_api_key") => Some(challenge("", "")),
            (ErrorCode::InvalidToken, _) => Some(challenge("invalid_token", "")),
            (ErrorCode::InvalidRequest, _) => Some(challenge("invalid_request", "")),
            _ => None,
        };
        if let Some(challenge) = challenge.and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        reply::finish(response, error)
    }
}

fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotFound => "Not found",
        ErrorCode::MisdirectedRequest => "Wrong server address",
        ErrorCode::Forbidden => "Not allowed",
        ErrorCode::TooManyRequests => "Too many attempts",
        ErrorCode::TemporarilyUnavailable => "Temporarily unavailable",
        ErrorCode::ServerError => "Something went wrong",
        ErrorCode::ContentTooLarge => "Too large",
        _ => "Invalid request",
    }
}
