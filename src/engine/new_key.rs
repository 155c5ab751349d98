//! Owns a new API key and its secret: shown once, stored as a digest. Storing it is in `keys`, verifying it in `verify`.

use crate::{
    config::Config,
    model::{
        clock::Timestamp,
        error::Error,
        key::{ApiKey, KeyForm},
        network::Networks,
        policy::KEY_SECONDS_MAX,
        project::Project,
        scope::Scopes,
        secret::{self, Secret},
        text,
    },
};

/// A key to be created.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its ID, if submitting a form twice must not create two keys; generated if absent.
    pub id: Option<String>,
    /// The owner.
    pub user_id: String,
    /// Its name.
    pub name: String,
    /// Its scopes: at least one.
    pub scopes: Scopes,
    /// `live`, `test`, or another configured environment; `None` means the first of them.
    pub environment: Option<String>,
    /// Seconds until it expires; without it, as its project says, else never.
    pub expires_in_seconds: Option<i64>,
    /// The project it belongs to, which must have the same owner.
    pub project: Option<Project>,
    /// A plan of its own; owners cannot choose it.
    pub plan: Option<String>,
    /// The subject that the plan counts, if it is not the key itself.
    pub metered_as: Option<String>,
    /// The networks from which it may be used.
    pub networks: Networks,
}

impl NewKey {
    /// A key of this user for the first configured environment, without expiry, project, plan or networks.
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

    /// A replacement for `old`: never wider, and with the lifetime that the old key was given, up to ten years.
    pub fn like(old: &ApiKey, project: Option<Project>) -> Self {
        Self {
            id: None,
            user_id: old.user_id.clone(),
            name: old.name.clone(),
            scopes: old.scopes.clone(),
            environment: Some(old.environment.clone()),
            // An imported key may have a longer lifetime than a new one can.
            expires_in_seconds: old
                .expires_at
                .map(|end| (end.seconds() - old.created_at.seconds()).clamp(1, KEY_SECONDS_MAX)),
            project,
            plan: old.plan.clone(),
            // Counted together with the old key: a new key gets no new quota.
            metered_as: old.plan.is_some().then(|| old.metered_as.clone().unwrap_or_else(|| old.id.clone())),
            networks: old.networks.clone(),
        }
    }
}

/// Creates a key: the secret to show once, and the record to store.
pub fn create(now: Timestamp, config: &Config, new: NewKey) -> Result<(Secret, ApiKey), Error> {
    if new.scopes.is_empty() {
        return Err(Error::invalid_scope("a key needs at least one scope"));
    }
    let terms = new.project.as_ref().map(|project| &project.key_terms);
    let first = terms.and_then(|terms| terms.environments.first().map(String::as_str));
    let environment = new.environment.unwrap_or_else(|| first.unwrap_or(config.default_environment()).to_owned());
    if !config.environments.contains(&environment) {
        return Err(Error::invalid_request(format!("environment must be one of: {}", config.environments.join(", "))));
    }
    if new.project.as_ref().is_some_and(|project| project.user_id != new.user_id) {
        return Err(Error::no_such("project"));
    }
    let expires_at = match new.expires_in_seconds {
        Some(seconds) if !(1..=KEY_SECONDS_MAX).contains(&seconds) => {
            return Err(Error::invalid_request("a key's lifetime must be between one second and ten years"));
        }
        seconds => seconds.map(|seconds| now.plus_seconds(seconds)),
    };
    let form = new.project.as_ref().map_or(KeyForm::Prefixed, |project| project.key_form);
    let (prefix, shown) = match form {
        KeyForm::Uuid => (String::new(), Secret::uuid()),
        KeyForm::Prefixed | KeyForm::Imported => {
            let own = terms.and_then(|terms| terms.prefix.as_ref());
            let prefix = format!("{}_{environment}_", own.unwrap_or(&config.key_prefix));
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
