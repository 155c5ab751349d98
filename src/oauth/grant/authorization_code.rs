//! Owns the authorization code grant (RFC 6749 §4.1.3, RFC 7636 §4.6).

use std::sync::Arc;

use super::{Authorization, still_allowed, tell_reuse, wrong_client};
use crate::{
    app::App,
    engine::limit::Throttle,
    http::extract::RequestInfo,
    model::{
        client::{Client, GrantType},
        error::Error,
        grant::Redeemed,
        pkce::CodeChallenge,
    },
    store::Redemption,
};

/// What the client presented.
pub struct CodeRequest {
    pub code: String,
    pub redirect_uri: Option<String>,
    pub code_verifier: Option<String>,
    pub resources: Vec<String>,
}

impl std::fmt::Debug for CodeRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeRequest(REDACTED)")
    }
}

/// Redeems a code, once. A wrong verifier or redirect URI burns it; a wrong `resource` does not.
pub async fn redeem(
    app: &Arc<App>,
    info: &RequestInfo,
    client: &Arc<Client>,
    presented: CodeRequest,
) -> Result<Authorization, Error> {
    let id =
        app.grant_tokens.read_code(&presented.code).ok_or_else(|| Error::invalid_grant("the code is not known"))?;
    let idle_expires_at = info.now.plus_seconds(app.config.lifetimes.refresh_idle_seconds);
    let resources = presented.resources.clone();
    let (checked_app, checked_client) = (Arc::clone(app), Arc::clone(client));
    let check = move |redeemed: &Redeemed| check(&checked_app, &checked_client, &presented, redeemed);
    let outcome =
        app.store.redeem_code(info.now, info.origin(&client.id), id, client.id.clone(), idle_expires_at, check).await?;
    let redeemed = match outcome {
        Redemption::Redeemed(redeemed) => redeemed,
        Redemption::Refused(error) => return Err(error),
        Redemption::Reused(user_id, error) => {
            tell_reuse(app, client, &user_id).await;
            return Err(error);
        }
        Redemption::WrongClient => return Err(wrong_client(app, info, client, "the code is not known")),
    };
    let asked = Throttle::codes(app.config.limits.unredeemed_codes_per_user);
    app.limiter.release(info.now, asked, &redeemed.user_id).await;
    let refresh_token = if client.may_use(GrantType::RefreshToken) {
        Some(app.grant_tokens.refresh_token(&redeemed.grant_id, redeemed.generation)?)
    } else {
        None
    };
    Ok(Authorization {
        subject: redeemed.user_id,
        scopes: redeemed.scopes,
        granted: redeemed.resources,
        resources,
        grant_id: Some(redeemed.grant_id),
        not_after: Some(redeemed.expires_at),
        refresh_token,
    })
}

fn check(app: &App, client: &Client, presented: &CodeRequest, redeemed: &Redeemed) -> Result<(), Error> {
    match (&redeemed.code_challenge, &presented.code_verifier) {
        (Some(challenge), Some(verifier)) if CodeChallenge::stored(challenge.clone()).accepts(verifier) => {}
        (None, None) => {}
        _ => return Err(Error::invalid_grant("code_verifier does not match the authorization request")),
    }
    match &presented.redirect_uri {
        Some(uri) if *uri != redeemed.redirect_uri => {
            return Err(Error::invalid_grant("redirect_uri differs from the authorization request"));
        }
        // PKCE proves what the redirect URI would (OAuth 2.1 §10.2).
        None if redeemed.code_challenge.is_none() => return Err(Error::invalid_grant("redirect_uri is missing")),
        _ => {}
    }
    if !client.redirect_uris.iter().any(|registered| registered.matches(&redeemed.redirect_uri)) {
        return Err(Error::invalid_grant("the code went to an address that the client has given up"));
    }
    still_allowed(client, &redeemed.scopes)?;
    app.catalog.current().target(&redeemed.scopes, &redeemed.resources, &presented.resources).map(drop)
}
