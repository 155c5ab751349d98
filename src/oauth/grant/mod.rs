//! Owns the grant types: each file parses and authorizes the requests of one. Shared code is here. Not here: creating
//! tokens (`engine::mint`).

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
        params::Params,
        resource::Target,
        scope::Scopes,
    },
    store::Redemption,
};

/// A parsed token request, with a variant for each grant type.
pub enum TokenRequest {
    Code(authorization_code::Request),
    Refresh(refresh_token::Request),
    ClientCredentials(client_credentials::Request),
}

impl TokenRequest {
    /// Parses the parameters of this grant type.
    pub fn parse(grant_type: GrantType, params: &Params<'_>) -> Result<Self, Error> {
        Ok(match grant_type {
            GrantType::AuthorizationCode => Self::Code(authorization_code::Request::parse(params)?),
            GrantType::RefreshToken => Self::Refresh(refresh_token::Request::parse(params)?),
            GrantType::ClientCredentials => Self::ClientCredentials(client_credentials::Request::parse(params)?),
        })
    }

    /// Authorizes the request, which may use up the code or token in it.
    pub async fn redeem(self, app: &App, info: &RequestInfo, client: &Arc<Client>) -> Result<Authorization, Error> {
        match self {
            Self::Code(request) => request.redeem(app, info, client).await,
            Self::Refresh(request) => request.redeem(app, info, client).await,
            Self::ClientCredentials(request) => request.redeem(app, info, client),
        }
    }
}

/// A required parameter.
fn need(params: &Params<'_>, name: &'static str) -> Result<String, Error> {
    params.get(name).map(ToOwned::to_owned).ok_or_else(|| Error::invalid_request(format!("{name} is missing")))
}

/// What a redeemed code or token authorizes. If it was issued to another client, the error is the `unknown` one, so that
/// nothing is revealed, and the attempt is counted.
async fn authorization(
    app: &App,
    info: &RequestInfo,
    client: &Client,
    outcome: Redemption<Target>,
    unknown: &'static str,
) -> Result<Authorization, Error> {
    match outcome {
        Redemption::Redeemed(grant, target) => {
            let refreshes = client.may_use(GrantType::RefreshToken);
            let refresh_token = refreshes.then(|| app.grant_tokens.refresh_token(&grant.grant_id, grant.generation));
            Ok(Authorization {
                subject: grant.user_id,
                refresh_token: refresh_token.transpose()?,
                grant_id: Some(grant.grant_id),
                not_after: Some(grant.expires_at),
                ..Authorization::of(client, target)
            })
        }
        Redemption::Refused(error) => Err(error),
        Redemption::Reused(user_id, error) => {
            tell_reuse(app, client, &user_id).await;
            Err(error)
        }
        Redemption::Unknown => Err(Error::invalid_grant(unknown)),
        Redemption::WrongClient => {
            let (origin, outcome) = (info.origin(&client.id), "issued to another client");
            app.event_counts.count("grant.wrong_client", Some(&client.id), &origin, Some(outcome));
            Err(Error::invalid_grant(unknown))
        }
    }
}

/// Refuses a grant if its client has since lost one of its scopes.
fn still_allowed(client: &Client, scopes: &Scopes) -> Result<(), Error> {
    if scopes.is_subset(&client.scopes) {
        Ok(())
    } else {
        Err(Error::invalid_grant("the client may no longer have every scope of the grant"))
    }
}

/// Notifies a user that an app lost access because its code or token was used twice (RFC 9700 §4.14.2): somebody else
/// may have had a copy. The response to the app does not depend on this mail.
async fn tell_reuse(app: &App, client: &Client, user_id: &str) {
    let user = match app.store.find_user(user_id).await {
        Ok(Some(user)) => user,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "could not notify a user of a revoked grant"),
    };
    let text = format!(
        "Hello {},\n\na token of the app \"{}\" for your account was used twice, so somebody else may have a copy \
         of it.\nFor your safety, the app's access was revoked immediately.\n\n\
         You can allow the app again the next time you use it. See your connected apps at {}/settings/apps\n",
        user.name, client.name, app.config.issuer
    );
    app.background.mailer.send(&user.email, "An app's access to your account was revoked", text);
}
