//! Owns the one rule that a key never makes a wider key: its scopes, lifetime, networks, environment and project bound what it
//! makes, and what it changes. Nothing bounds the operator. Does not make keys; see `api::keys`.

use super::auth::Caller;
use crate::{
    app::App,
    engine::apikey::NewKey,
    http::problem::Problem,
    model::{error::Error, key::ApiKey, network::Networks, principal::Principal},
};

/// Bounds a key that is to be made by what makes it. What was not asked for is taken over; what is asked for and wider is
/// refused.
///
/// # Errors
/// `insufficient_scope` saying what is too much.
pub fn bound(app: &App, caller: &Caller, new: &mut NewKey) -> Result<(), Problem> {
    caller.may_hand_on(app, &new.scopes)?;
    let asked = new.expires_in_seconds;
    narrow(app, caller, new)?;
    if asked.is_some_and(|asked| new.expires_in_seconds.is_some_and(|left| left < asked)) {
        return caller.wider(app, "the new key would outlive the credential that makes it".to_owned());
    }
    Ok(())
}

/// Bounds a key that takes the place of another. A key may be followed by its like; any other by none wider than the caller.
///
/// # Errors
/// As [`bound`]; an end that comes too late comes sooner instead.
pub fn bound_successor(app: &App, caller: &Caller, old_id: &str, new: &mut NewKey) -> Result<(), Problem> {
    let itself = principal(caller).is_some_and(|principal| principal.token_id == old_id);
    if !itself {
        caller.may_hand_on(app, &new.scopes)?;
    }
    narrow(app, caller, new)
}

/// Refuses to end or change a key outside the project of the caller's own key.
///
/// # Errors
/// `insufficient_scope`.
pub fn reaches(app: &App, caller: &Caller, key: &ApiKey) -> Result<(), Problem> {
    match key_of(caller).and_then(|own| own.project.as_ref()) {
        Some((own, _)) if key.project_id.as_ref() != Some(own) => {
            caller.wider(app, "a key of a project reaches keys of that project alone".to_owned())
        }
        _ => Ok(()),
    }
}

/// The project a new key will belong to: a key of a project makes keys of that project.
///
/// # Errors
/// `insufficient_scope`.
pub fn project(app: &App, caller: &Caller, asked: Option<String>) -> Result<Option<String>, Problem> {
    let own = key_of(caller).and_then(|key| key.project.as_ref()).map(|(id, _)| id.clone());
    match (own, asked) {
        (Some(own), Some(asked)) if own != asked => {
            caller.wider(app, "a key of a project makes keys of that project alone".to_owned())
        }
        (own, asked) => Ok(asked.or(own)),
    }
}

/// Refuses networks that are wider than those of the caller's own key.
///
/// # Errors
/// `insufficient_scope`.
pub fn within(app: &App, caller: &Caller, networks: &Networks) -> Result<(), Problem> {
    match key_of(caller) {
        Some(key) if !networks.is_within(&key.networks) => {
            caller.wider(app, format!("this key may be used from {} alone, and so may what it makes", key.networks))
        }
        _ => Ok(()),
    }
}

fn narrow(app: &App, caller: &Caller, new: &mut NewKey) -> Result<(), Problem> {
    let Some(principal) = principal(caller) else { return Ok(()) };
    if let Some(end) = principal.expires_at {
        let left = (end.seconds() - caller.info.now.seconds()).max(1);
        new.expires_in_seconds = Some(new.expires_in_seconds.map_or(left, |asked| asked.min(left)));
    }
    let Some(key) = &principal.key else { return Ok(()) };
    if new.networks.is_any() {
        new.networks = key.networks.clone();
    }
    within(app, caller, &new.networks)?;
    let asked = new.environment.as_deref().unwrap_or(app.config.default_environment());
    if key.environment != "live" && asked != key.environment {
        return caller.wider(app, format!("a key for {} makes keys for {0} alone", key.environment));
    }
    // Each key that has a plan of its own is counted apart: making more would make more of the plan.
    let shared = [Some(principal.subject.as_str()), key.project.as_ref().map(|(id, _)| id.as_str())];
    let has_own_plan = principal.metered.as_ref().is_some_and(|metered| !shared.contains(&Some(&metered.subject)));
    if has_own_plan && new.plan.is_none() {
        return Err(Error::invalid_request("a key with a plan of its own makes none without").into());
    }
    Ok(())
}

fn principal(caller: &Caller) -> Option<&Principal> {
    caller.holder.as_ref().map(|holder| &holder.credential.value.principal)
}

fn key_of(caller: &Caller) -> Option<&crate::model::principal::PrincipalKey> {
    principal(caller).and_then(|principal| principal.key.as_ref())
}
