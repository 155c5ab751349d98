//! Owns the grant types: each file decides what one grant type authorizes. What several share is here. Not here: parsing
//! the request (`oauth::token`) and making tokens (`engine::mint`).

pub(super) mod authorization_code;
pub(super) mod client_credentials;
pub(super) mod refresh_token;

use crate::{
    app::App,
    http::extract::RequestInfo,
    model::{client::Client, clock::Timestamp, error::Error, scope::Scopes, secret::Secret},
};

/// What a grant decided; the mint does the rest.
#[derive(Debug)]
pub struct Authorization {
    /// `sub`.
    pub subject: String,
    /// What the access token may do.
    pub scopes: Scopes,
    /// Audience URIs that the grant is limited to; empty means no limit.
    pub granted: Vec<String>,
    /// Audience URIs that the request names.
    pub resources: Vec<String>,
    /// The grant behind it.
    pub grant_id: Option<String>,
    /// The access token ends no later than this.
    pub not_after: Option<Timestamp>,
    /// The refresh token that is now current.
    pub refresh_token: Option<Secret>,
}

/// Refuses a grant whose client lost one of its scopes since.
///
/// # Errors
/// `invalid_grant`.
fn still_allowed(client: &Client, scopes: &Scopes) -> Result<(), Error> {
    if scopes.is_subset(&client.scopes) {
        Ok(())
    } else {
        Err(Error::invalid_grant("the client may no longer have every scope of the grant"))
    }
}

/// Another client's code or token: it learns no more than of one that never was, and the attempt is counted.
fn wrong_client(app: &App, info: &RequestInfo, client: &Client, unknown: &'static str) -> Error {
    app.event_counts.count(
        "grant.wrong_client",
        Some(&client.id),
        &info.origin(&client.id),
        Some("issued to another client"),
    );
    Error::invalid_grant(unknown)
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
