//! Owns the server's metadata (RFC 8414) and the JWKS (RFC 7517). It lists only what works, and all URLs come from
//! the configured issuer, never from the request.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use crate::{
    app::App,
    engine::signing::JWKS_MAX_AGE_SECONDS,
    model::{
        client::{AuthMethod, GrantType},
        scope::Scopes,
    },
};

/// `GET /.well-known/oauth-authorization-server` and `/.well-known/openid-configuration`
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "oauth", summary = "Server metadata",
    description = "The server's endpoints and capabilities (RFC 8414).",
    security(()),
    responses((status = 200, description = "RFC 8414 §3.2"), (status = 304, description = "Not modified")))]
pub async fn metadata(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let catalog = app.catalog.current();
    let apis: Vec<&str> = catalog.apis.iter().map(|api| api.identifier.as_str()).collect();
    let body = document(&app.config.issuer, &catalog.all_scopes(), &apis).to_string();
    let digest = crate::model::secret::Digest::of(&body).text();
    document_response(&headers, body, &format!("\"{}\"", &digest[..16]))
}

/// `GET /.well-known/jwks.json`
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "oauth", summary = "Keys that sign access tokens",
    description = "The keys that sign access tokens (RFC 7517 §5).",
    security(()),
    responses((status = 200, description = "A JWK set"), (status = 304, description = "Not modified")))]
pub async fn jwks(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let keys = app.signing.keys();
    document_response(&headers, keys.jwks.to_string(), &keys.etag)
}

/// The metadata of an issuer with these scopes and APIs.
pub fn document(issuer: &str, scopes: &Scopes, apis: &[&str]) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let methods = AuthMethod::ALL.map(AuthMethod::as_str);
    let confidential = ["client_secret_basic", "client_secret_post"];
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "introspection_endpoint": at("/oauth/introspect"),
        "revocation_endpoint": at("/oauth/revoke"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "scopes_supported": scopes.iter().collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": confidential,
        "revocation_endpoint_auth_methods_supported": methods,
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "protected_resources": apis,
    })
}

/// A public document: any origin may read it, and any cache may store it for a while.
fn document_response(headers: &HeaderMap, body: String, etag: &str) -> Response {
    let same = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes());
    let mut response = Response::new(if same { Body::empty() } else { Body::from(body) });
    if same {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Ok(age) = HeaderValue::try_from(format!("public, max-age={JWKS_MAX_AGE_SECONDS}")) {
        out.insert(header::CACHE_CONTROL, age);
    }
    if let Ok(etag) = HeaderValue::try_from(etag) {
        out.insert(header::ETAG, etag);
    }
    response
}
