//! Owns the one rule that a credential never makes a wider one: its scopes, lifetime, networks, environment and project
//! bound the keys and clients it creates, and what it changes. Nothing bounds the operator or a person on the pages. Does
//! not create keys or clients; see `engine::apikey` and `engine::clients`.

use crate::{
    config::Config,
    model::{
        clock::Timestamp,
        error::{Error, ErrorCode},
        key::ApiKey,
        network::Networks,
        principal::{Principal, PrincipalKey},
        scope::Scopes,
        user::User,
    },
};

use super::apikey::NewKey;

/// The environment whose keys may manage those of every other.
const LIVE: &str = "live";

/// Who creates or changes something, on a page, by the management API or by command.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    is_admin: bool,
    credential: Option<&'a Principal>,
}

impl<'a> Actor<'a> {
    /// Whoever runs the command line beside the database.
    pub const OPERATOR: Self = Self { is_admin: true, credential: None };

    /// A user who signed in on the pages.
    #[must_use]
    pub fn signed_in(user: &User) -> Self {
        Self { is_admin: user.admin, credential: None }
    }

    /// A user by a credential, which bounds what it creates.
    #[must_use]
    pub fn by(user: &User, credential: &'a Principal) -> Self {
        Self { is_admin: user.admin, credential: Some(credential) }
    }

    /// Whether this is an administrator or the operator.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }

    fn key(&self) -> Option<&'a PrincipalKey> {
        self.credential.and_then(|principal| principal.key.as_ref())
    }

    fn project(&self) -> Option<&'a str> {
        self.key().and_then(|key| key.project.as_ref()).map(|(id, _)| id.as_str())
    }
}

fn deny_escalation<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::new(ErrorCode::InsufficientScope, message.into()))
}

/// Refuses scopes that the actor's own credential does not have.
///
/// # Errors
/// `insufficient_scope` naming what is too much.
pub fn may_delegate(actor: &Actor<'_>, scopes: &Scopes) -> Result<(), Error> {
    let Some(principal) = actor.credential else { return Ok(()) };
    let more = scopes.filter(|name| !principal.scopes.contains(name));
    if more.is_empty() { Ok(()) } else { deny_escalation(format!("the credential itself does not have {more}")) }
}

/// Bounds a key that is to be created by what creates it. What was not asked for is taken over; what is asked for and wider
/// is refused.
///
/// # Errors
/// `insufficient_scope` saying what is too much.
pub fn bound(actor: &Actor<'_>, now: Timestamp, config: &Config, new: &mut NewKey) -> Result<(), Error> {
    may_delegate(actor, &new.scopes)?;
    let asked = new.expires_in_seconds;
    narrow(actor, now, config, new)?;
    if asked.is_some_and(|asked| new.expires_in_seconds.is_some_and(|left| left < asked)) {
        return deny_escalation("the new key would outlive the credential that creates it");
    }
    Ok(())
}

/// Bounds the successor of a key. A key may create its own equal; any other actor none wider than itself.
///
/// # Errors
/// As [`bound`]; an end that comes too late comes sooner instead.
pub fn bound_successor(
    actor: &Actor<'_>,
    now: Timestamp,
    config: &Config,
    old_id: &str,
    new: &mut NewKey,
) -> Result<(), Error> {
    let itself = actor.credential.is_some_and(|principal| principal.token_id == old_id);
    if !itself {
        may_delegate(actor, &new.scopes)?;
    }
    narrow(actor, now, config, new)
}

/// Refuses to change or revoke a key outside the project of the actor's own key, or, for a key that is not for `live`, one
/// for another environment.
///
/// # Errors
/// `insufficient_scope`.
pub fn reaches_key(actor: &Actor<'_>, key: &ApiKey) -> Result<(), Error> {
    reaches_project(actor, key.project_id.as_deref())?;
    match actor.key() {
        Some(own) if own.environment != LIVE && own.environment != key.environment => {
            deny_escalation(format!("a key for {} reaches keys for {0} alone", own.environment))
        }
        _ => Ok(()),
    }
}

/// Refuses to see or change another project (or with none given what is in no project) than that of the actor's own key.
///
/// # Errors
/// `insufficient_scope`.
pub fn reaches_project(actor: &Actor<'_>, project: Option<&str>) -> Result<(), Error> {
    match actor.project() {
        Some(own) if project != Some(own) => deny_escalation("a key of a project reaches that project alone"),
        _ => Ok(()),
    }
}

/// Refuses to change a project, whose keys are for every environment, by a key that is not for `live`.
///
/// # Errors
/// `insufficient_scope`.
pub fn changes_project(actor: &Actor<'_>, config: &Config, project: &str) -> Result<(), Error> {
    reaches_project(actor, Some(project))?;
    match actor.key() {
        Some(own) if own.environment != LIVE && config.environments.iter().any(|name| name == LIVE) => deny_escalation(
            format!("a key for {} changes no project: its live keys would change with it", own.environment),
        ),
        _ => Ok(()),
    }
}

/// The project of a new key, or of the keys that are listed. A project's key may name only its own project.
///
/// # Errors
/// `insufficient_scope`.
pub fn project(actor: &Actor<'_>, asked: Option<String>) -> Result<Option<String>, Error> {
    match (actor.project(), asked) {
        (Some(own), Some(asked)) if own != asked => deny_escalation("a key of a project reaches that project alone"),
        (own, asked) => Ok(asked.or(own.map(ToOwned::to_owned))),
    }
}

/// Refuses networks that are wider than those of the actor's own key.
///
/// # Errors
/// `insufficient_scope`.
pub fn within(actor: &Actor<'_>, networks: &Networks) -> Result<(), Error> {
    match actor.key() {
        Some(key) if !networks.is_within(&key.networks) => {
            deny_escalation(format!("the new key's networks must lie within {}", key.networks))
        }
        _ => Ok(()),
    }
}

/// Refuses the unbounded secret of a client_credentials client to an actor whose own credential is bounded.
///
/// # Errors
/// `insufficient_scope` saying what bounds it.
pub fn unbounded_secret(actor: &Actor<'_>) -> Result<(), Error> {
    let Some(principal) = actor.credential else { return Ok(()) };
    let bound = match &principal.key {
        _ if principal.expires_at.is_some() => "ends by itself",
        Some(key) if !key.networks.is_any() => "may be used from some networks alone",
        Some(key) if key.project.is_some() => "belongs to a project",
        _ => return Ok(()),
    };
    deny_escalation(format!("this credential {bound}, and the secret of a client with client_credentials would not"))
}

fn narrow(actor: &Actor<'_>, now: Timestamp, config: &Config, new: &mut NewKey) -> Result<(), Error> {
    let Some(principal) = actor.credential else { return Ok(()) };
    if let Some(end) = principal.expires_at {
        let left = (end.seconds() - now.seconds()).max(1);
        new.expires_in_seconds = Some(new.expires_in_seconds.map_or(left, |asked| asked.min(left)));
    }
    let Some(key) = &principal.key else { return Ok(()) };
    if new.networks.is_any() {
        new.networks = key.networks.clone();
    }
    within(actor, &new.networks)?;
    let asked = new.environment.as_deref().unwrap_or(config.default_environment());
    if key.environment != LIVE && asked != key.environment {
        return deny_escalation(format!("a key for {} makes keys for {0} alone", key.environment));
    }
    // Each key that has a plan of its own is counted apart: creating more would make more of the plan.
    let shared = [Some(principal.subject.as_str()), actor.project()];
    let has_own_plan = principal.quota.as_ref().is_some_and(|quota| !shared.contains(&Some(&quota.subject)));
    if has_own_plan && new.plan.is_none() {
        return Err(Error::invalid_request("a key with its own plan can only create keys that have one"));
    }
    Ok(())
}
