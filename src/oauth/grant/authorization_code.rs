//! Owns the authorization code grant (RFC 6749 §4.1.3, RFC 7636 §4.6).

use std::sync::Arc;

use super::{authorization, need, still_allowed};
use crate::{
    app::App,
    engine::{limit::Throttle, mint::Authorization},
    http::extract::RequestInfo,
    model::{
        api::Catalog,
        client::Client,
        error::Error,
        grant::Redeemed,
        params::Params,
        pkce::CodeChallenge,
        resource::{Target, resources},
    },
};

/// RFC 6749 §4.1.3.
#[derive(Clone)]
pub struct Request {
    code: String,
    /// Must equal the authorization request's, where given.
    redirect_uri: Option<String>,
    /// RFC 7636 §4.5.
    code_verifier: Option<String>,
    /// RFC 8707 §2.2.
    resources: Vec<String>,
}

impl Request {
    pub fn parse(params: &Params<'_>) -> Result<Self, Error> {
        Ok(Self {
            resources: resources(params)?,
            code: need(params, "code")?,
            redirect_uri: params.get("redirect_uri").map(ToOwned::to_owned),
            code_verifier: params.get("code_verifier").map(ToOwned::to_owned),
        })
    }

    /// Redeems the code, once. A wrong verifier or redirect URI invalidates the code; a wrong `resource` does not.
    pub async fn redeem(self, app: &App, info: &RequestInfo, client: &Arc<Client>) -> Result<Authorization, Error> {
        const UNKNOWN: &str = "the code is not known";
        let id = app.grant_tokens.read_code(&self.code).ok_or_else(|| Error::invalid_grant(UNKNOWN))?;
        let idle_expires_at = info.now + app.config.lifetimes.refresh_idle;
        let (checked_client, catalog) = (Arc::clone(client), app.catalog.current());
        let check = move |redeemed: &Redeemed| self.target(&checked_client, &catalog, redeemed);
        let origin = info.origin(&client.id);
        let outcome = app.store.redeem_code(info.now, origin, id, client.id.clone(), idle_expires_at, check).await?;
        let authorization = authorization(app, info, client, outcome, UNKNOWN).await?;
        let asked = Throttle::codes(app.config.limits.unredeemed_codes_per_user);
        app.limiter.release(info.now, asked, &authorization.subject).await;
        Ok(authorization)
    }

    fn target(&self, client: &Client, catalog: &Catalog, grant: &Redeemed) -> Result<Target, Error> {
        match (&grant.code_challenge, &self.code_verifier) {
            (Some(challenge), Some(verifier)) if CodeChallenge::stored(challenge.clone()).accepts(verifier) => {}
            (None, None) => {}
            _ => return Err(Error::invalid_grant("code_verifier does not match the authorization request")),
        }
        match &self.redirect_uri {
            Some(uri) if *uri != grant.redirect_uri => {
                return Err(Error::invalid_grant("redirect_uri does not match the authorization request"));
            }
            // PKCE binds the code to the client as the redirect URI would (OAuth 2.1 §10.2).
            None if grant.code_challenge.is_none() => return Err(Error::invalid_grant("redirect_uri is missing")),
            _ => {}
        }
        if !client.allows_redirect(&grant.redirect_uri) {
            return Err(Error::invalid_grant("the client no longer has the redirect URI that the code was sent to"));
        }
        still_allowed(client, &grant.scopes)?;
        catalog.target(&grant.scopes, &grant.resources, &self.resources)
    }
}
