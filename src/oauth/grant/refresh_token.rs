//! Owns the refresh grant (RFC 6749 §6) with rotation (RFC 9700 §4.14.2). Reuse of a token is detected in `store::grants`,
//! which revokes the grant; the user is notified from `super`.

use std::sync::Arc;

use super::{authorization, need, still_allowed};
use crate::{
    app::App,
    engine::mint::Authorization,
    http::extract::RequestInfo,
    model::{
        api::Catalog,
        client::Client,
        error::Error,
        grant::Redeemed,
        params::Params,
        resource::{Target, resources},
        scope::Scopes,
    },
    store::Rotation,
};

/// RFC 6749 §6.
#[derive(Clone)]
pub struct Request {
    refresh_token: String,
    /// A narrower scope for this access token.
    scope: Option<Scopes>,
    /// RFC 8707 §2.2.
    resources: Vec<String>,
}

impl Request {
    pub fn parse(params: &Params<'_>) -> Result<Self, Error> {
        let resources = resources(params)?;
        let refresh_token = need(params, "refresh_token")?;
        Ok(Self { refresh_token, scope: params.get("scope").map(Scopes::parse).transpose()?, resources })
    }

    /// Rotates the refresh token. Errors in the rest of the request are found first, and leave the token usable.
    pub async fn redeem(self, app: &App, info: &RequestInfo, client: &Arc<Client>) -> Result<Authorization, Error> {
        const UNKNOWN: &str = "the refresh token is not known";
        let presented = app.grant_tokens.read_refresh_token(&self.refresh_token);
        let (id, generation) = presented.ok_or_else(|| Error::invalid_grant(UNKNOWN))?;
        let rotation = Rotation {
            generation,
            grace_ms: client.refresh_grace_ms,
            idle_expires_at: info.now + app.config.lifetimes.refresh_idle,
        };
        let (checked_client, catalog) = (Arc::clone(client), app.catalog.current());
        let check = move |redeemed: &Redeemed| self.target(&checked_client, &catalog, redeemed);
        let rotated =
            app.store.rotate(info.now, info.origin(&client.id), id, client.id.clone(), rotation, check).await?;
        authorization(app, info, client, rotated, UNKNOWN).await
    }

    fn target(&self, client: &Client, catalog: &Catalog, grant: &Redeemed) -> Result<Target, Error> {
        still_allowed(client, &grant.scopes)?;
        let scopes = self.scope.as_ref().unwrap_or(&grant.scopes);
        if scopes.is_empty() || !scopes.is_subset(&grant.scopes) {
            return Err(Error::invalid_scope("scope exceeds the grant"));
        }
        catalog.target(scopes, &grant.resources, &self.resources)
    }
}
