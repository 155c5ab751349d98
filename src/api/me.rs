//! Owns `/v1/users/me` and `/health`: "is my key good?", for keys and tokens alike, in the words of the seed documents.
//! Tells what the holder already has: no address, no other keys.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use serde_json::json;

use crate::{
    app::App,
    engine::verify::Verified,
    http::{
        error::BearerError,
        extract::{RequestInfo, bearer},
        reply,
    },
    model::{
        error::{Error, ErrorCode},
        principal::{CredentialKind, Denial},
    },
};

/// How people name a credential in a URL, where it does not belong (RFC 6750 §5.3).
const IN_URLS: [&str; 5] = ["api_key", "apikey", "access_token", "key", "token"];

/// `GET /v1/users/me`
pub async fn me(
    State(app): State<Arc<App>>,
    info: RequestInfo,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, BearerError> {
    let accepted = credential(&app, &info, &uri, &headers)
        .await?
        .ok_or_else(|| refused("missing_api_key", "No API key provided in the Authorization header."))?;
    let principal = &accepted.value.principal;
    let user = principal.user.as_ref();
    Ok(reply::json(&json!({
        "id": principal.subject,
        // The owner's own script may know its owner's name; a third party's app was not asked to.
        "name": user.filter(|_| principal.key.is_some()).map(|user| &user.name),
        "plan": user.map(|user| &user.plan),
        "credential": principal.kind.as_str(),
        "scope": principal.scopes.to_string(),
        "client_id": principal.client_id,
        "key": principal.key.as_ref().map(|key| json!({ "id": key.id, "name": key.name, "environment": key.environment })),
        "expires_at": principal.expires_at.map(|end| end.rfc3339()),
    })))
}

/// `GET /health`
pub async fn health(
    State(app): State<Arc<App>>,
    info: RequestInfo,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, BearerError> {
    Ok(match credential(&app, &info, &uri, &headers).await? {
        None => reply::json(&json!({ "status": "healthy", "authenticated": false })),
        Some(accepted) => {
            let principal = &accepted.value.principal;
            let plan = principal.user.as_ref().map(|user| &user.plan);
            reply::json(
                &json!({ "status": "healthy", "authenticated": true, "user": { "id": principal.subject, "plan": plan } }),
            )
        }
    })
}

async fn credential(
    app: &App,
    info: &RequestInfo,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Verified>, BearerError> {
    let named = |name: &str| IN_URLS.iter().any(|known| known.eq_ignore_ascii_case(name));
    if form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).any(|(name, _)| named(&name)) {
        app.tally.count("credential_in_url", None, &info.origin("anonymous"), Some("a credential was sent in a URL"));
        let error = Error::invalid_request(
            "A credential belongs into the Authorization header, not into the URL: revoke this one.",
        );
        return Err(BearerError { error, name: "invalid_request" });
    }
    let presented = bearer(headers)
        .map_err(|_| refused("invalid_api_key", "The Authorization header is not a Bearer credential."))?;
    let Some(presented) = presented else { return Ok(None) };
    match app.verifier.verify(info.now, presented).await {
        Err(error) => Err(BearerError { name: error.code.as_str(), error }),
        Ok(Ok(accepted)) => Ok(Some(accepted)),
        // A token says itself when it ends; a key does not, and all its refusals look alike.
        Ok(Err(Denial::Expired)) if kind(app, presented) == CredentialKind::AccessToken => {
            Err(refused("token_expired", "The access token has expired."))
        }
        Ok(Err(denial)) => {
            app.tally.count("credential", None, &info.origin("anonymous"), Some(denial.as_str()));
            Err(refused("invalid_api_key", "The API key provided is invalid."))
        }
    }
}

fn kind(app: &App, presented: &str) -> CredentialKind {
    if app.verifier.is_api_key(presented) { CredentialKind::ApiKey } else { CredentialKind::AccessToken }
}

fn refused(name: &'static str, message: &'static str) -> BearerError {
    BearerError { error: Error::new(ErrorCode::InvalidToken, message), name }
}
