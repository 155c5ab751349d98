//! Owns the grant types: each file parses the request of one and decides what it authorizes. What several share is here.
//! Not here: making tokens (`engine::mint`).

mod authorization_code;
mod client_credentials;
mod refresh_token;

use std::sync::Arc;

use crate::{
    app::App,
    engine::mint::Authorization,
    http::extract::RequestInfo,
    model::{
        client::{Client, GrantType},
        error::Error,
        grant::Redeemed,
        params::Params,
        scope::Scopes,
    },
    store::Redemption,
};

/// A token request, parsed: a variant for each grant type.
pub enum TokenRequest {
    Code(authorization_code::Request),
    Refresh(refresh_token::Request),
    ClientCredentials(client_credentials::Request),
}

impl TokenRequest {
    /// Parses the parameters that belong to this grant type.
    pub fn parse(grant_type: GrantType, params: &Params<'_>) -> Result<Self, Error> {
        Ok(match grant_type {
            GrantType::AuthorizationCode => Self::Code(authorization_code::Request::parse(params)?),
            GrantType::RefreshToken => Self::Refresh(refresh_token::Request::parse(params)?),
            GrantType::ClientCredentials => Self::ClientCredentials(client_credentials::Request::parse(params)?),
        })
    }

    /// What the request authorizes. What it presents may be used up by it.
    pub async fn redeem(self, app: &App, info: &RequestInfo, client: &Arc<Client>) -> Result<Authorization, Error> {
        match self {
            Self::Code(request) => request.redeem(app, info, client).await,
            Self::Refresh(request) => request.redeem(app, info, client).await,
            Self::ClientCredentials(request) => request.redeem(app, info, client),
        }
    }
}

/// A parameter that must be there.
fn need(params: &Params<'_>, name: &'static str) -> Result<String, Error> {
    params.get(name).map(ToOwned::to_owned).ok_or_else(|| Error::invalid_request(format!("{name} is missing")))
}

/// What a redemption yields. Another client's code or token: it learns no more than of an `unknown` one, and the attempt is
/// counted.
async fn redeemed<T>(
    app: &App,
    info: &RequestInfo,
    client: &Client,
    outcome: Redemption<T>,
    unknown: &'static str,
) -> Result<(Redeemed, T), Error> {
    match outcome {
        Redemption::Redeemed(redeemed, checked) => Ok((redeemed, checked)),
        Redemption::Refused(error) => Err(error),
        Redemption::Reused(user_id, error) => {
            tell_reuse(app, client, &user_id).await;
            Err(error)
        }
        Redemption::WrongClient => {
            let (origin, outcome) = (info.origin(&client.id), "issued to another client");
            app.event_counts.count("grant.wrong_client", Some(&client.id), &origin, Some(outcome));
            Err(Error::invalid_grant(unknown))
        }
    }
}

/// Refuses a grant whose client lost one of its scopes since.
fn still_allowed(client: &Client, scopes: &Scopes) -> Result<(), Error> {
    if scopes.is_subset(&client.scopes) {
        Ok(())
    } else {
        Err(Error::invalid_grant("the client may no longer have every scope of the grant"))
    }
}

/// Tells a user that an app's access ended because what it held was used twice (RFC 9700 §4.14.2): somebody else may have
/// had it. The answer to the app does not depend on it.
async fn tell_reuse(app: &App, client: &Client, user_id: &str) {
    let user = match app.store.find_user(user_id).await {
        Ok(Some(user)) => user,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "a user could not be told that a grant was revoked"),
    };
    let text = format!(
        "Hello {},\n\na token that the app \"{}\" got for your account was used twice, so somebody else may have a copy \
         of it.\nThe app's access was ended at once. Neither the app nor a copy can use it any more.\n\n\
         You can let the app in again when you use it next. Your connected apps are at {}/settings/apps\n",
        user.name, client.name, app.config.issuer
    );
    app.background.mailer.send(&user.email, "An app's access to your account was ended", text);
}
