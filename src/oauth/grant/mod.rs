//! Owns the grant types: each decides who gets what. None makes a token.

pub(super) mod authorization_code;
pub(super) mod client_credentials;
pub(super) mod refresh_token;

use crate::{
    app::App,
    http::extract::RequestInfo,
    model::{
        client::Client,
        error::{Error, ErrorCode},
        grant::Redeemed,
        scope::Scopes,
    },
};

/// Cuts a grant to the `resource` parameters of a token request for `scopes` of it (RFC 8707 §2.2).
///
/// # Errors
/// `invalid_target` when the grant does not cover one of them, or none of the scopes is for it: nothing could be minted.
fn narrow_to(app: &App, redeemed: &Redeemed, scopes: &Scopes, resources: &[String]) -> Result<(), Error> {
    let catalog = app.catalog.current();
    let uncovered = || Error::new(ErrorCode::InvalidTarget, "the grant does not cover this resource");
    for resource in resources {
        let api = catalog.by_identifier(resource).ok_or_else(uncovered)?;
        let granted = redeemed.resources.is_empty() || redeemed.resources.contains(resource);
        if !granted || !api.scopes.iter().any(|scope| scopes.contains(&scope.name)) {
            return Err(uncovered());
        }
    }
    Ok(())
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
    app.tally.count("grant.wrong_client", Some(&client.id), &info.origin(&client.id), Some("issued to another client"));
    Error::invalid_grant(unknown)
}

/// The audience URIs of a token: those the request names, else those of the grant.
fn targets(requested: Vec<String>, granted: Vec<String>) -> Vec<String> {
    if requested.is_empty() { granted } else { requested }
}
