//! Owns the form in which nginx's `auth_request` can pass a refusal on: of an answer that is not 2xx it understands 401
//! and 403 alone, and drops the body. So every refusal is 403 there, with its true status and its body in headers.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::Response,
};

/// Set by the proxy's configuration to `nginx`. Who forges it through another proxy only spoils his own refusal.
const ASKED_BY: &str = "x-grantd-proxy";
const STATUS: HeaderName = HeaderName::from_static("x-auth-status");
const BODY: HeaderName = HeaderName::from_static("x-auth-body");
/// Longest body that is put into a header, in bytes.
const BODY_MAX: usize = 8 * 1024;

/// Whether nginx asks.
#[must_use]
pub fn asks(headers: &HeaderMap) -> bool {
    headers.get(ASKED_BY).is_some_and(|name| name == "nginx")
}

/// A refusal as `auth_request` takes it; other answers unchanged. What went wrong on our side is none: nginx makes 500 of
/// it, and its configuration 503.
pub async fn passable(response: Response) -> Response {
    if !response.status().is_client_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // One line, as all our JSON is; what no header can hold is left out.
    let text = to_bytes(body, BODY_MAX).await.unwrap_or_default();
    if let Ok(text) = HeaderValue::from_bytes(&text) {
        parts.headers.insert(BODY, text);
    }
    parts.headers.insert(STATUS, HeaderValue::from(parts.status.as_u16()));
    parts.headers.remove("content-length");
    parts.status = StatusCode::FORBIDDEN;
    Response::from_parts(parts, Body::empty())
}
