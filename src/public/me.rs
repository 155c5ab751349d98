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
        credential,
        denials::names_credential,
        error::BearerError,
        extract::{RequestInfo, bearer},
        reply,
    },
    model::{
        denial::DeniedRequest,
        error::{Error, ErrorCode},
        principal::{CredentialKind, Reason},
        usage::Outcome,
    },
};

/// What else may be a credential in our own URLs, which have no parameters.
const MORE_IN_URLS: [&str; 2] = ["key", "token"];

/// `GET /v1/users/me`
#[utoipa::path(get, path = "/v1/users/me", tag = "self", summary = "Is my key good?",
    description = "Is my key good, and what may it do?",
    security(("bearer" = [])),
    responses((status = 200, description = "What the credential stands for"), (status = 401, description = "It is not valid")))]
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
        "plan": principal.quota.as_ref().map(|quota| &quota.plan),
        "credential": principal.kind.as_str(),
        "scope": principal.scopes.to_string(),
        "client_id": principal.client_id,
        "key": principal.key.as_ref().map(|key| json!({ "id": key.id, "name": key.name, "environment": key.environment })),
        "expires_at": principal.expires_at.map(|end| end.rfc3339()),
    })))
}

/// `GET /health`
#[utoipa::path(get, path = "/health", tag = "self", summary = "Does the server answer?",
    description = "Does the server answer, and is my key good?",
    security((), ("bearer" = [])),
    responses((status = 200, description = "It does"), (status = 401, description = "The credential is not valid")))]
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
            let plan = principal.quota.as_ref().map(|quota| &quota.plan);
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
    if names_credential(uri.query().unwrap_or_default(), &MORE_IN_URLS) {
        app.event_counts.count(
            "credential_in_url",
            None,
            &info.origin("anonymous"),
            Some("a credential was sent in a URL"),
        );
        let error = Error::invalid_request(
            "A credential belongs in the Authorization header, not in the URL: revoke this one.",
        );
        return Err(BearerError { error, name: "invalid_request" });
    }
    let presented = bearer(headers)
        .map_err(|_| refused("invalid_api_key", "The Authorization header is not a Bearer credential."))?;
    let Some(presented) = presented else { return Ok(None) };
    let from = info.presentation(headers);
    let denied = match credential::verify(app, info, presented, &from).await {
        Err(error) => return Err(BearerError { name: error.code.as_str(), error }),
        Ok(Ok(accepted)) => {
            app.verifier.count_use(info.now, &accepted, Outcome::Allowed, &from);
            return Ok(Some(accepted));
        }
        Ok(Err(denied)) => denied,
    };
    // A token says itself when it ends; a key does not, and all its refusals look alike.
    let is_expired_token = denied.reason == Reason::Expired && denied.kind == Some(CredentialKind::AccessToken);
    info.record_rejection(app, 401, None, denied, DeniedRequest::of("GET", uri.path()));
    Err(if is_expired_token {
        refused("token_expired", "The access token has expired.")
    } else {
        refused("invalid_api_key", "The API key provided is invalid.")
    })
}

fn refused(name: &'static str, message: &'static str) -> BearerError {
    BearerError { error: Error::new(ErrorCode::InvalidToken, message), name }
}
