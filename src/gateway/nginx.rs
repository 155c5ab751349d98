//! Owns refusals in a form that nginx's `auth_request` can pass on. Of all answers but 2xx it supports only 401 and
//! 403, and drops the body. So every refusal is 403 there, with its true status, media type and body in headers.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};

/// Set to `nginx` by the proxy's configuration. Forged through another proxy, it only garbles the forger's own refusal.
const ASKED_BY: &str = "x-grantd-proxy";
const STATUS: HeaderName = HeaderName::from_static("x-auth-status");
const BODY: HeaderName = HeaderName::from_static("x-auth-body");
const MEDIA_TYPE: HeaderName = HeaderName::from_static("x-auth-content-type");
/// Longest body that is put into a header, in bytes.
const BODY_MAX: usize = 8 * 1024;

/// Whether the request comes from nginx.
#[must_use]
pub fn asks(headers: &HeaderMap) -> bool {
    headers.get(ASKED_BY).is_some_and(|name| name == "nginx")
}

/// A refusal in a form for `auth_request`; other answers unchanged. A server error is not a refusal: nginx turns it
/// into 500, and its configuration turns that into 503.
pub async fn passable(response: Response) -> Response {
    if !response.status().is_client_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // One line, like all our JSON; a body that no header can carry is left out.
    let text = to_bytes(body, BODY_MAX).await.unwrap_or_default();
    if let Ok(text) = HeaderValue::from_bytes(&text) {
        parts.headers.insert(BODY, text);
    }
    if let Some(media_type) = parts.headers.remove(header::CONTENT_TYPE) {
        parts.headers.insert(MEDIA_TYPE, media_type);
    }
    parts.headers.insert(STATUS, HeaderValue::from(parts.status.as_u16()));
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.status = StatusCode::FORBIDDEN;
    Response::from_parts(parts, Body::empty())
}
