//! Owns `/v1/users/me` and `/health`, which say whether a key or token is valid, in the format of the seed documents.
//! They reveal nothing that the holder does not have: no address, no other keys.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use serde_json::json;

use crate::{
    app::App,
    engine::verify::{Verification, Verified},
    http::{
        credential::CredentialCheck,
        error::BearerError,
        extract::{RequestInfo, bearer},
        reply,
    },
    model::{
        denial::DeniedRequest,
        error::{Error, ErrorCode},
        principal::Rejection,
        reason::Reason,
    },
};

/// Parameter names that may carry a credential. These endpoints take no parameters.
const MORE_IN_URLS: [&str; 2] = ["key", "token"];

/// `GET /v1/users/me`
#[utoipa::path(get, path = "/v1/users/me", tag = "self", summary = "Who am I?",
    description = "Whether the credential is valid, whose it is and what it may do.",
    security(("bearer" = [])),
    responses((status = 200, description = "The credential's user, scopes and plan"),
        (status = 401, description = "The credential is not valid")))]
pub async fn me(
    State(app): State<Arc<App>>,
    info: RequestInfo,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, BearerError> {
    let accepted = credential(&app, &info, &uri, &headers).await?.ok_or_else(|| Rejection::unknown(Reason::Missing))?;
    let principal = &accepted.value.principal;
    let user = principal.user.as_ref();
    Ok(reply::json(&json!({
        "id": principal.subject,
        // A key belongs to its user's own script. A third-party app may not learn the user's name.
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
#[utoipa::path(get, path = "/health", tag = "self", summary = "Health check",
    description = "Whether the server is running, and with a credential, whether it is valid.",
    security((), ("bearer" = [])),
    responses((status = 200, description = "The server is running"),
        (status = 401, description = "The credential is not valid")))]
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

/// Any other method than `GET`. The router adds `Allow`.
pub async fn other_method() -> BearerError {
    Error::new(ErrorCode::MethodNotAllowed, "method not allowed; see the Allow header").into()
}

async fn credential(
    app: &App,
    info: &RequestInfo,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Verified>, BearerError> {
    let check = CredentialCheck::of(app, info, headers, None);
    if check.is_in_url(uri.query().unwrap_or_default(), &MORE_IN_URLS) {
        let error =
            Error::invalid_request("Credentials belong in the Authorization header, not in the URL. Revoke this one.");
        return Err(error.into());
    }
    let presented = bearer(headers).map_err(|_| {
        let message = "The Authorization header has no Bearer credential.";
        BearerError { error: Error::new(ErrorCode::InvalidToken, message), name: "invalid_api_key" }
    })?;
    let Some(presented) = presented else { return Ok(None) };
    match check.verify(presented).await? {
        Verification::Accepted(used) => Ok(Some(used.allow())),
        Verification::Rejected(rejection) => Err(check.deny(rejection, DeniedRequest::of("GET", uri.path())).into()),
    }
}
