//! Owns `/oauth/token` (RFC 6749 §3.2) in five phases. A grant only authorizes; the mint alone creates tokens.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use serde::Serialize;

use super::grant::TokenRequest;
use crate::{
    app::App,
    engine::limit::Throttle,
    http::{
        client_auth,
        error::OAuthError,
        extract::{BodyKind, ParamsBody, RequestInfo},
        reply,
    },
    model::{
        client::{Client, GrantType},
        error::{Error, ErrorCode},
        secret::Secret,
    },
};

#[derive(Serialize)]
struct TokenResponse<'r> {
    access_token: &'r str,
    token_type: &'static str,
    expires_in: i64,
    scope: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'r str>,
}

/// `POST /oauth/token`
#[utoipa::path(post, path = "/oauth/token", tag = "oauth", summary = "Get tokens",
    description = "`authorization_code`, `refresh_token` and `client_credentials` (RFC 6749); a flat JSON object works too. An \
                   access token is for one API; if the scopes belong to several, `resource` selects it (RFC 8707).",
    security(("client" = [])),
    request_body(content = serde_json::Value, content_type = "application/x-www-form-urlencoded",
        description = "grant_type and its parameters (RFC 6749 §4.1.3, §6 or §4.4.2)"),
    responses((status = 200, description = "A token (RFC 6749 §5.1)"), (status = 400, description = "RFC 6749 §5.2"),
        (status = 429, description = "Too many requests from this client; `Retry-After` says when to try again")))]
pub async fn token(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Result<Response, OAuthError> {
    // 1. Authenticate the client.
    let (headers, body) = ParamsBody::read(request, BodyKind::FormOrJson, app.config.limits.body_bytes).await?;
    let params = body.params()?;
    params.refuse_duplicates(&["resource"])?;
    let client = client_auth::authenticate(&app, &info, &headers, &params).await?;
    admit(&app, &info, &client).await?;
    // 2. Parse.
    let grant_type = params.get("grant_type").ok_or_else(|| Error::invalid_request("grant_type is missing"))?;
    let unsupported = || Error::new(ErrorCode::UnsupportedGrantType, "unsupported grant_type");
    let grant_type = GrantType::parse(grant_type).ok_or_else(unsupported)?;
    let request = TokenRequest::parse(grant_type, &params)?;
    if !client.may_use(grant_type) {
        return Err(Error::new(ErrorCode::UnauthorizedClient, "this client may not use this grant type").into());
    }
    // 3. Redeem.
    let authorization = request.redeem(&app, &info, &client).await?;
    // 4. Mint.
    let minted = app.mint.issue(info.now, authorization)?;
    // 5. Reply.
    Ok(reply::json(&TokenResponse {
        access_token: &minted.access_token,
        token_type: "Bearer",
        expires_in: minted.expires_in,
        scope: &minted.scope,
        refresh_token: minted.refresh_token.as_ref().map(Secret::expose),
    }))
}

/// Counts a request of an authenticated client. A public client does not authenticate, so its requests are counted per
/// sender: no sender can use up another's limit.
async fn admit(app: &App, info: &RequestInfo, client: &Client) -> Result<(), Error> {
    let guard = Throttle::token_requests(app.config.limits.token_requests_per_client);
    let whose = if client.is_confidential() { client.id.clone() } else { format!("{}@{}", client.id, info.network()) };
    match app.limiter.hit(info.now, guard, &whose).await {
        Some(wait) => Err(Error::too_many(wait, "too many token requests from this client; try again in a minute")),
        None => Ok(()),
    }
}
