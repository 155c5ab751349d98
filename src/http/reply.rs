//! Owns the common forms of answers.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

use crate::model::error::{Error, ErrorCode};

/// Seconds after which to retry: when the store was unavailable, and when a limit was reached.
const RETRY_SECONDS: i64 = 1;
const RETRY_LIMITED_SECONDS: i64 = 60;

/// Attached to a response for the edge, where it is logged with the request's id.
#[derive(Clone, Debug)]
pub struct LoggedError(pub Arc<Error>);

/// `application/json` bytes that must not be stored (RFC 6749 §5.1).
pub fn json_bytes(bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    // Leaves room for the headers that the edge adds, so that the map does not grow twice.
    headers.reserve(12);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A public document as JSON, readable from any origin.
pub fn public_json(bytes: impl Into<Body>) -> Response {
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// A value as JSON that must not be stored.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => json_bytes(bytes),
        Err(error) => oauth_error(Error::server(error)),
    }
}

/// An error as JSON, as required by RFC 6749 §5.2.
pub fn oauth_error(error: Error) -> Response {
    let body = json!({ "error": error.code.as_str(), "error_description": error.description });
    let mut response = json_bytes(body.to_string().into_bytes());
    if error.code == ErrorCode::InvalidClient {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"grantd\", charset=\"UTF-8\""));
    }
    finish(response, error)
}

/// Sets the status of an error response, and attaches the error for the edge.
pub fn finish(mut response: Response, error: Error) -> Response {
    let status = error.code.status();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let retry = match status {
        503 => Some(RETRY_SECONDS),
        429 => Some(RETRY_LIMITED_SECONDS),
        _ => None,
    };
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(error.retry_after.unwrap_or(seconds)));
    }
    response.extensions_mut().insert(LoggedError(Arc::new(error)));
    response
}

/// 303 to a path or URL: the method becomes GET, so that a password is never forwarded (RFC 9700 §4.12).
pub fn see_other(location: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(location) else {
        return oauth_error(Error::server("a redirect target is not a header value"));
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `base` with these parameters added to its query, percent-encoded.
pub fn with_query(base: &str, params: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(base.len() + 128);
    out.push_str(base);
    for (name, value) in params {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        out.push('=');
        // A space becomes %20: some clients do not decode a plus in queries.
        out.extend(percent_encoding::utf8_percent_encode(value, QUERY_VALUE));
    }
    out
}

const QUERY_VALUE: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
