//! Owns `/oauth/revoke` (RFC 7009) for access tokens, refresh tokens and API keys.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    http::{
        client_auth, credential,
        error::OAuthError,
        extract::{BodyKind, ParamsBody, RequestInfo, bearer},
    },
    model::{client::Client, error::Error, secret::Digest},
};

/// `POST /oauth/revoke`
#[utoipa::path(post, path = "/oauth/revoke", tag = "oauth", summary = "Revoke a credential",
    description = "Revokes an access token, refresh token or API key (RFC 7009). A key's holder only needs the key, sent as Bearer.",
    security(("client" = []), ("bearer" = [])),
    request_body(content = serde_json::Value, content_type = "application/x-www-form-urlencoded", description = "token"),
    responses((status = 200, description = "It no longer works")))]
pub async fn revoke(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Result<Response, OAuthError> {
    let (headers, body) = ParamsBody::read(request, BodyKind::Form, app.config.limits.body_bytes).await?;
    let params = body.params()?;
    params.refuse_duplicates(&[])?;
    let missing = || Error::invalid_request("token is missing");
    // The holder of a key may revoke it with the key alone, since that can only reduce access.
    if let Ok(Some(held)) = bearer(&headers) {
        let token = params.get("token").unwrap_or(held);
        if token != held || !app.verifier.may_be_api_key(token) {
            return Err(Error::invalid_client().into());
        }
        revoke_key(&app, &info, None, token).await?;
        return Ok(StatusCode::OK.into_response());
    }
    let client = client_auth::authenticate_to_revoke(&app, &info, &headers, &params).await?;
    revoke_for(&app, &info, &client, params.get("token").ok_or_else(missing)?).await?;
    Ok(StatusCode::OK.into_response())
}

/// Revoking an unknown token succeeds; another client's token is refused without effect (RFC 7009 §2.1).
async fn revoke_for(app: &App, info: &RequestInfo, client: &Client, token: &str) -> Result<(), Error> {
    let origin = info.origin(&client.id);
    let others = || Error::invalid_grant("the token was issued to another client");
    if let Some((grant, _)) = app.grant_tokens.read_refresh_token(token) {
        let revoked = app.store.revoke_grant(info.now, origin, grant.clone(), client.id.clone()).await?;
        let foreign = !revoked && app.store.grant_client(&grant).await?.is_some_and(|owner| owner != client.id);
        return if foreign { Err(others()) } else { Ok(()) };
    }
    if let Some(signed) = app.verifier.signed_token(token) {
        if signed.client_id != client.id {
            return Err(others());
        }
        let expires_at = signed.expires_at();
        if expires_at > info.now {
            app.store.revoke_token(info.now, origin, signed.jti, signed.client_id, expires_at).await?;
        }
        return Ok(());
    }
    if app.verifier.may_be_api_key(token) {
        return revoke_key(app, info, Some(client), token).await;
    }
    Ok(())
}

/// A client may revoke a key only if it is a resource server the key is for.
async fn revoke_key(app: &App, info: &RequestInfo, client: Option<&Client>, key: &str) -> Result<(), Error> {
    // A client has authenticated with its secret; a sender with just a key may be guessing.
    if client.is_none() {
        credential::admit(app, info, key)?;
    }
    let Some(record) = app.store.find_key_by_digest(&Digest::of(key)).await? else {
        if client.is_none() {
            credential::missed(app, info).await;
        }
        return Ok(());
    };
    let Some(client) = client else {
        // The sender need not be the owner: only the key is known.
        return app.leaks.end_by_holder(info.now, info.origin(&record.key.id), &record).await;
    };
    let catalog = app.catalog.current();
    let is_for = |api: &crate::model::api::Api| api.scopes.iter().any(|scope| record.key.scopes.contains(&scope.name));
    // A disabled resource server cannot revoke keys.
    if !client.active || !catalog.by_client(&client.id).is_some_and(is_for) {
        return Err(Error::invalid_grant("the key is not for this client"));
    }
    app.store.revoke_key(info.now, info.origin(&client.id), record.key.id, None).await?;
    Ok(())
}
