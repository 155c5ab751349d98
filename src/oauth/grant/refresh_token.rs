//! Owns the refresh grant (RFC 6749 §6) with rotation (RFC 9700 §4.14.2).

use std::sync::Arc;

use super::{Authorization, still_allowed, tell_reuse, wrong_client};
use crate::{
    app::App,
    http::extract::RequestInfo,
    model::{client::Client, error::Error, grant::Redeemed, scope::Scopes},
    store::{Redemption, Rotation},
};

/// Rotates a refresh token. What the request itself got wrong is refused before: the token still works.
pub async fn redeem(
    app: &Arc<App>,
    info: &RequestInfo,
    client: &Arc<Client>,
    refresh_token: &str,
    scope: Option<Scopes>,
    resources: Vec<String>,
) -> Result<Authorization, Error> {
    let unknown = || Error::invalid_grant("the refresh token is not known");
    let (id, generation) = app.grant_tokens.read_refresh_token(refresh_token).ok_or_else(unknown)?;
    let rotation = Rotation {
        generation,
        grace_ms: client.refresh_grace_ms,
        idle_expires_at: info.now.plus_seconds(app.config.lifetimes.refresh_idle_seconds),
    };
    let (checked_app, checked_client, asked, wanted) =
        (Arc::clone(app), Arc::clone(client), scope.clone(), resources.clone());
    let check = move |redeemed: &Redeemed| {
        still_allowed(&checked_client, &redeemed.scopes)?;
        let scopes = asked.as_ref().unwrap_or(&redeemed.scopes);
        if scopes.is_empty() || !scopes.is_subset(&redeemed.scopes) {
            return Err(Error::invalid_scope("scope is wider than the grant"));
        }
        checked_app.catalog.current().target(scopes, &redeemed.resources, &wanted).map(drop)
    };
    let redeemed =
        match app.store.rotate(info.now, info.origin(&client.id), id, client.id.clone(), rotation, check).await? {
            Redemption::Redeemed(redeemed) => redeemed,
            Redemption::Refused(error) => return Err(error),
            Redemption::Reused(user_id, error) => {
                tell_reuse(app, client, &user_id).await;
                return Err(error);
            }
            Redemption::WrongClient => return Err(wrong_client(app, info, client, "the refresh token is not known")),
        };
    let refresh_token = app.grant_tokens.refresh_token(&redeemed.grant_id, redeemed.generation)?;
    Ok(Authorization {
        subject: redeemed.user_id,
        scopes: scope.unwrap_or(redeemed.scopes),
        granted: redeemed.resources,
        resources,
        grant_id: Some(redeemed.grant_id),
        not_after: Some(redeemed.expires_at),
        refresh_token: Some(refresh_token),
    })
}
