//! Owns the grant types: each decides who gets what. None makes a token.

pub(super) mod authorization_code;
pub(super) mod client_credentials;
pub(super) mod refresh_token;

use crate::{
    app::App,
    http::extract::RequestInfo,
    model::{client::Client, error::Error, scope::Scopes},
};

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
