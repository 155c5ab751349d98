//! Owns the rules for valid clients, and for registering and changing them, shared by the pages, the management API,
//! the command line and the demo. Does not store or authenticate clients; see `store::clients` and `engine::clients`.

use super::attenuation::Attenuation;
use crate::{
    config::Config,
    model::{
        client::{AuthMethod, Client, ClientType, GrantType, REDIRECT_URIS_MAX},
        error::{Error, ErrorCode},
        management_api,
        scope::Scopes,
    },
    store::ClientChanges,
};

/// Longest grace window of a refresh token, in milliseconds.
const GRACE_MAX_MS: i64 = 60_000;
/// Longest overlap of two secrets, in seconds: 7 days. A secret is rotated because it may have leaked.
pub const SECRET_OVERLAP_MAX: i64 = 604_800;
/// The name in errors for the secret of a client that acts without a user.
const ACTS_ALONE: &str = "the secret of a client with client_credentials";

/// Whether `by` may register `client`, and whether the client is valid at all.
///
/// # Errors
/// `invalid_request` or `invalid_scope` for an invalid client, `insufficient_scope` for one wider than the actor's own
/// credential, `forbidden` for settings reserved for administrators.
pub fn may_register(config: &Config, by: &Attenuation<'_>, client: &Client) -> Result<(), Error> {
    check(client)?;
    if !by.is_admin() {
        let usual = Client::new(client.created_at, String::new(), client.kind);
        let is_usual = client.grant_types == usual.grant_types
            && client.auth_methods == usual.auth_methods
            && client.first_party == usual.first_party
            && client.require_pkce == usual.require_pkce
            && client.refresh_grace_ms == usual.refresh_grace_ms
            && client.owner_id.is_some();
        if !is_usual {
            return Err(administrators("grant types, authentication, first_party, PKCE and the grace window"));
        }
        only_public(&client.scopes)?;
    }
    by.reaches_project(None)?;
    by.may_delegate(&reaches(client))?;
    if acts_alone(client) { by.unbounded(config, ACTS_ALONE) } else { Ok(()) }
}

/// The parts of `to` that must be written, if `by` may change `before` in this way.
///
/// Only administrators set the scopes of a client that acts without a user, because nothing else limits its tokens. The
/// same goes for what users see of a first-party client: the operator vouches for it, so they give no consent. An
/// owner's change is refused instead of ending first_party, because then all users would be asked for consent at once.
///
/// # Errors
/// As [`may_register`].
pub fn may_change(
    config: &Config,
    by: &Attenuation<'_>,
    before: &Client,
    to: ClientChanges,
) -> Result<ClientChanges, Error> {
    // Unchanged values are not written: they may have been changed meanwhile.
    let to = ClientChanges {
        name: to.name.filter(|name| *name != before.name),
        redirect_uris: to.redirect_uris.filter(|uris| *uris != before.redirect_uris),
        scopes: to.scopes.filter(|scopes| *scopes != before.scopes),
        // The write may come much later, because a password may be requested first.
        allowed_for: Some(Box::new(before.clone())),
    };
    let after = Client {
        redirect_uris: to.redirect_uris.clone().unwrap_or_else(|| before.redirect_uris.clone()),
        scopes: to.scopes.clone().unwrap_or_else(|| before.scopes.clone()),
        ..before.clone()
    };
    check(&after)?;
    if !by.is_admin() {
        if before.first_party && (to.name.is_some() || to.redirect_uris.is_some() || to.scopes.is_some()) {
            return Err(administrators("the name, redirect URIs and permissions of this app"));
        }
        if acts_alone(before) && to.scopes.is_some() {
            return Err(administrators("the permissions of this app"));
        }
        only_public(&after.scopes.filter(|name| !before.scopes.contains(name)))?;
    }
    by.reaches_project(None)?;
    by.may_delegate(&reaches(&after))?;
    if acts_alone(before) && to.scopes.is_some() {
        by.unbounded(config, ACTS_ALONE)?;
    }
    Ok(to)
}

/// Whether `by` may give `client` a new secret while the old ones stay valid for `overlap` seconds.
///
/// # Errors
/// As [`may_register`].
pub fn may_rotate_secret(config: &Config, by: &Attenuation<'_>, client: &Client, overlap: i64) -> Result<(), Error> {
    if !(0..=SECRET_OVERLAP_MAX).contains(&overlap) {
        return Err(Error::invalid_request(format!("overlap must be 0 to {SECRET_OVERLAP_MAX} seconds")));
    }
    by.reaches_project(None)?;
    by.may_delegate(&reaches(client))?;
    match &client.api_id {
        Some(_) => by.unbounded(config, "the secret of an API's resource server"),
        None if acts_alone(client) => by.unbounded(config, ACTS_ALONE),
        None => Ok(()),
    }
}

/// Whether the client acts without a user, so that only an administrator may set its scopes.
#[must_use]
pub fn acts_alone(client: &Client) -> bool {
    client.may_use(GrantType::ClientCredentials)
}

/// The scopes that a client's secret grants by itself; of a client that needs a user, the reserved ones.
fn reaches(client: &Client) -> Scopes {
    if acts_alone(client) { client.scopes.clone() } else { management_api::of(&client.scopes) }
}

/// Whether the client is valid, regardless of the actor.
fn check(client: &Client) -> Result<(), Error> {
    let wrong = |message: &'static str| Err(Error::invalid_request(message));
    let uses_codes = client.may_use(GrantType::AuthorizationCode);
    if (uses_codes && client.redirect_uris.is_empty()) || client.redirect_uris.len() > REDIRECT_URIS_MAX {
        return wrong("the authorization code grant requires 1 to 20 redirect URIs");
    }
    if client.kind == ClientType::Public && (!client.require_pkce || acts_alone(client)) {
        return wrong("a public client must use PKCE and cannot use client_credentials");
    }
    let has_none = client.auth_methods.contains(&AuthMethod::None);
    if client.auth_methods.is_empty() || has_none != (client.kind == ClientType::Public) {
        return wrong("a public client must have auth_method none, and a confidential one another method");
    }
    if !(0..=GRACE_MAX_MS).contains(&client.refresh_grace_ms) {
        return wrong("refresh_grace must be 0 to 60 seconds");
    }
    if client.scopes.is_empty() {
        return Err(Error::invalid_scope("at least one scope is required"));
    }
    Ok(())
}

/// Only an administrator may give a client scopes of the management API.
fn only_public(scopes: &Scopes) -> Result<(), Error> {
    let reserved = management_api::of(scopes);
    if reserved.is_empty() {
        return Ok(());
    }
    Err(Error::invalid_scope(format!("only an administrator may give an app {reserved}")))
}

fn administrators(what: &str) -> Error {
    Error::new(ErrorCode::Forbidden, format!("only an administrator may set {what}"))
}
