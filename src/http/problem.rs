//! Owns errors of the management API: `application/problem+json` (RFC 9457). Rendered at the edge, where the request's
//! id is available, and so for every error below `/api/v1`, wherever it arose.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::reply::{LoggedError, finish};
use crate::{
    app::App,
    model::{
        error::{Error, ErrorCode},
        reason::Reason,
    },
    store,
};

/// The media type (RFC 9457 §3).
const MEDIA: &str = "application/problem+json";

/// An error of the management API.
#[derive(Debug)]
pub struct Problem {
    error: Error,
    /// Why the credential is not accepted or not sufficient.
    reason: Option<Reason>,
}

/// The scope that a request lacked, for the body.
#[derive(Clone, Debug)]
struct MissingScope(String);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self { error, reason: None }
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        let error = match &reason {
            Reason::Missing => Error::new(
                ErrorCode::InvalidToken,
                "send an API key or access token in the Authorization header as Bearer",
            ),
            Reason::Scope(scope) | Reason::AudienceScope(scope) => {
                Error::new(ErrorCode::InsufficientScope, format!("the scope {scope} is required"))
            }
            Reason::Narrow(why) => Error::new(ErrorCode::InsufficientScope, why.clone()),
            Reason::Forbidden(why) => Error::new(ErrorCode::Forbidden, *why),
            Reason::Malformed(why) => Error::invalid_request(*why),
            Reason::Limited { retry_after, why } => Error::too_many(*retry_after, why.clone()),
            _ => Error::new(ErrorCode::InvalidToken, "the credential is not valid"),
        };
        Self { error, reason: Some(reason) }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Conflict => Error::new(ErrorCode::Conflict, "it already exists").into(),
            error => Error::from(error).into(),
        }
    }
}

impl IntoResponse for Problem {
    /// Without a body, which the edge adds.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        let challenge = self.reason.as_ref().and_then(Reason::challenge);
        if let Some(challenge) = challenge.and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(Reason::Scope(scope) | Reason::AudienceScope(scope)) = self.reason {
            response.extensions_mut().insert(MissingScope(scope));
        }
        finish(response, self.error)
    }
}

/// Adds the body to an error response of the management API.
#[must_use]
pub fn rendered(app: &App, id: &str, response: Response) -> Response {
    let Some(LoggedError(error)) = response.extensions().get::<LoggedError>().cloned() else { return response };
    let issuer = &app.config.issuer;
    let status = response.status();
    let scope = response.extensions().get::<MissingScope>().map(|scope| scope.0.clone());
    let mut body = json!({
        "type": format!("{issuer}/api/docs#{}", error.code.as_str()),
        "title": title(error.code),
        "status": status.as_u16(),
        "detail": error.description,
        "request_id": id,
    });
    if let Some(scope) = scope {
        body["scope"] = scope.into();
    }
    // The page on which the credential's owner can read the reason.
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        body["instance"] = format!("{issuer}/settings/denied?request_id={id}").into();
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body.to_string()))
}

/// The errors of the management API, for its OpenAPI description: name, title, status.
#[must_use]
pub fn kinds() -> Vec<(&'static str, &'static str, u16)> {
    [
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidScope,
        ErrorCode::InvalidToken,
        ErrorCode::Forbidden,
        ErrorCode::InsufficientScope,
        ErrorCode::NotFound,
        ErrorCode::MethodNotAllowed,
        ErrorCode::Conflict,
        ErrorCode::ContentTooLarge,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::IdempotencyMismatch,
        ErrorCode::TooManyRequests,
        ErrorCode::ServerError,
        ErrorCode::TemporarilyUnavailable,
    ]
    .map(|code| (code.as_str(), title(code), code.status()))
    .to_vec()
}

fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidScope => "Invalid scope",
        ErrorCode::InvalidToken => "Invalid credential",
        ErrorCode::Forbidden => "Not allowed",
        ErrorCode::InsufficientScope => "Insufficient scope",
        ErrorCode::NotFound => "Not found",
        ErrorCode::MethodNotAllowed => "Method not allowed",
        ErrorCode::Conflict => "Conflict",
        ErrorCode::ContentTooLarge => "Too large",
        ErrorCode::UnsupportedMediaType => "Unsupported media type",
        ErrorCode::IdempotencyMismatch => "Idempotency-Key already used",
        ErrorCode::TooManyRequests => "Too many requests",
        ErrorCode::ServerError => "Something went wrong",
        ErrorCode::TemporarilyUnavailable => "Temporarily unavailable",
        _ => "Invalid request",
    }
}
