//! Owns making API keys: shown once, kept as a digest. Does not verify them; see `engine::verify`.

use crate::{
    config::Config,
    model::{
        clock::Timestamp,
        error::Error,
        key::{ApiKey, KeyForm},
        network::Networks,
        project::Project,
        scope::Scopes,
        secret::{self, Secret},
        text,
    },
};

/// Longest lifetime that can be asked for, in seconds: ten years.
pub const LIFETIME_MAX_SECONDS: i64 = 315_360_000;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its id, where a form must not make two; else one is made.
    pub id: Option<String>,
    /// The owner.
    pub user_id: String,
    /// What it is for.
    pub name: String,
    /// What it may do: at least one scope.
    pub scopes: Scopes,
    /// `live`, `test`, or another name the deployment knows; nothing means the first of them.
    pub environment: Option<String>,
    /// Seconds until it ends by itself.
    pub expires_in_seconds: Option<i64>,
    /// The project it belongs to, one of its owner's.
    pub project: Option<Project>,
    /// A plan of its own; not for owners to choose.
    pub plan: Option<String>,
    /// Who is counted by that plan, where it is not the key itself.
    pub metered_as: Option<String>,
    /// From where it may be used.
    pub networks: Networks,
}

impl NewKey {
    /// A key of this user for the deployment's first environment, without an end, a project or bounds.
    #[must_use]
    pub fn of(user_id: &str, name: &str, scopes: Scopes) -> Self {
        Self {
            id: None,
            user_id: user_id.to_owned(),
            name: name.to_owned(),
            scopes,
            environment: None,
            expires_in_seconds: None,
            project: None,
            plan: None,
            metered_as: None,
            networks: Networks::default(),
        }
    }

    /// A key to take the place of `old`: never wider, and with as long a life as the old one was given, up to ten years.
    #[must_use]
    pub fn like(old: &ApiKey, project: Option<Project>) -> Self {
        Self {
            id: None,
            user_id: old.user_id.clone(),
            name: old.name.clone(),
            scopes: old.scopes.clone(),
            environment: Some(old.environment.clone()),
            // An imported key may have been given longer than a new one can be.
            expires_in_seconds: old
                .expires_at
                .map(|end| (end.seconds() - old.created_at.seconds()).clamp(1, LIFETIME_MAX_SECONDS)),
            project,
            plan: old.plan.clone(),
            // Counted on together with the old one: a new key is no new quota.
            metered_as: old.plan.is_some().then(|| old.metered_as.clone().unwrap_or_else(|| old.id.clone())),
            networks: old.networks.clone(),
        }
    }
}

/// Makes a key: the secret to show once, and the record to keep.
///
/// # Errors
/// `invalid_request` or `invalid_scope` saying what would be right.
pub fn make(now: Timestamp, config: &Config, new: NewKey) -> Result<(Secret, ApiKey), Error> {
    if new.scopes.is_empty() {
        return Err(Error::invalid_scope("a key needs at least one scope"));
    }
    let environment = new.environment.unwrap_or_else(|| config.default_environment().to_owned());
    if !config.environments.contains(&environment) {
        return Err(Error::invalid_request(format!("environment is one of: {}", config.environments.join(", "))));
    }
    if new.project.as_ref().is_some_and(|project| project.user_id != new.user_id) {
        return Err(Error::invalid_request("there is no such project"));
    }
    let expires_at = match new.expires_in_seconds {
        Some(seconds) if !(1..=LIFETIME_MAX_SECONDS).contains(&seconds) => {
            return Err(Error::invalid_request("a key lives between one second and ten years"));
        }
        seconds => seconds.map(|seconds| now.plus_seconds(seconds)),
    };
    let form = new.project.as_ref().map_or(KeyForm::Prefixed, |project| project.key_form);
    let (prefix, shown) = match form {
        KeyForm::Uuid => (String::new(), Secret::uuid()),
        KeyForm::Prefixed | KeyForm::Imported => {
            let prefix = format!("{}_{}_", config.key_prefix, environment);
            let shown = Secret::generate(&prefix);
            (prefix, shown)
        }
    };
    let key = ApiKey {
        id: new.id.unwrap_or_else(|| secret::new_id("key")),
        user_id: new.user_id,
        name: text::name("the key's name", &new.name)?,
        prefix,
        hint: shown.hint(),
        scopes: new.scopes,
        environment,
        form,
        project_id: new.project.map(|project| project.id),
        plan: new.plan,
        metered_as: new.metered_as,
        replaced_by: None,
        networks: new.networks,
        created_at: now,
        expires_at,
        revoked_at: None,
        last_used_at: None,
        last_address: None,
        last_agent: None,
    };
    Ok((shown, key))
}
