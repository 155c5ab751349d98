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
    let accepted = credential(&app, &info, &uri, &headers).await?.ok_or_else(|| Rejection::unknown(Reason::Missing))?;
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

/// Another method than `GET`. The router adds `Allow`.
pub async fn other_method() -> BearerError {
    Error::new(ErrorCode::MethodNotAllowed, "use a method that is named in Allow").into()
}

async fn credential(
    app: &App,
    info: &RequestInfo,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Verified>, BearerError> {
    let check = CredentialCheck::of(app, info, headers, None);
    if check.is_in_url(uri.query().unwrap_or_default(), &MORE_IN_URLS) {
        let error = Error::invalid_request(
            "A credential belongs in the Authorization header, not in the URL: revoke this one.",
        );
        return Err(error.into());
    }
    let presented = bearer(headers).map_err(|_| {
        let message = "The Authorization header is not a Bearer credential.";
        BearerError { error: Error::new(ErrorCode::InvalidToken, message), name: "invalid_api_key" }
    })?;
    let Some(presented) = presented else { return Ok(None) };
    match check.verify(presented).await? {
        Verification::Accepted(used) => Ok(Some(used.allow())),
        Verification::Rejected(rejection) => Err(check.deny(rejection, DeniedRequest::of("GET", uri.path())).into()),
    }
}
