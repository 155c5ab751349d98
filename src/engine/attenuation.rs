//! Owns the rule that a credential never creates a wider one: its scopes, lifetime, networks, environment and project
//! limit the keys and clients it creates and the changes it makes. The operator and users on the pages are not limited.
//! Does not create keys or clients; see `engine::keys` and `engine::clients`.

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

use super::new_key::NewKey;

/// The environment whose keys may manage those of every other.
const LIVE: &str = "live";

/// The limits of an actor that creates or changes something, on a page, through the management API or by command.
#[derive(Clone, Copy, Debug)]
pub struct Attenuation<'a> {
    /// `None` for the operator.
    user: Option<&'a User>,
    credential: Option<&'a Principal>,
}

impl<'a> Attenuation<'a> {
    /// The operator, at the command line with access to the database.
    pub const OPERATOR: Self = Self { user: None, credential: None };

    /// A user signed in on the pages.
    pub fn signed_in(user: &'a User) -> Self {
        Self { user: Some(user), credential: None }
    }

    /// A user acting through a credential, which limits what it creates.
    pub fn by(user: &'a User, credential: &'a Principal) -> Self {
        Self { user: Some(user), credential: Some(credential) }
    }

    /// Whether this is an administrator or the operator.
    pub fn is_admin(&self) -> bool {
        self.user.is_none_or(|user| user.admin)
    }

    /// Whether this is the operator, at the command line with access to the database.
    pub fn is_operator(&self) -> bool {
        self.user.is_none()
    }

    /// Whether this is the user with this ID.
    pub fn is_user(&self, id: &str) -> bool {
        self.user.is_some_and(|user| user.id == id)
    }

    fn key(&self) -> Option<&'a PrincipalKey> {
        self.credential.and_then(|principal| principal.key.as_ref())
    }

    fn own_project(&self) -> Option<&'a str> {
        self.key().and_then(|key| key.project.as_ref()).map(|(id, _)| id.as_str())
    }

    /// Refuses scopes that the actor's own credential does not have.
    pub fn may_delegate(&self, scopes: &Scopes) -> Result<(), Error> {
        let Some(principal) = self.credential else { return Ok(()) };
        let more = scopes.filter(|name| !principal.scopes.contains(name));
        if more.is_empty() { Ok(()) } else { deny_escalation(format!("this credential does not have {more}")) }
    }

    /// Limits a new key to its creator's credential. Omitted values are taken from the credential; wider ones are
    /// refused.
    pub fn bound(&self, now: Timestamp, config: &Config, new: &mut NewKey) -> Result<(), Error> {
        self.may_delegate(&new.scopes)?;
        let asked = new.expires_in_seconds;
        self.narrow(now, config, new)?;
        if asked.is_some_and(|asked| new.expires_in_seconds.is_some_and(|left| left < asked)) {
            return deny_escalation("the new key would expire later than the credential that creates it");
        }
        Ok(())
    }

    /// Limits the successor of a key: a key may create its own equal, other actors none wider than their credential. As
    /// [`Self::bound`], but an expiry that is too late is brought forward instead of refused.
    pub fn bound_successor(
        &self,
        now: Timestamp,
        config: &Config,
        old_id: &str,
        new: &mut NewKey,
    ) -> Result<(), Error> {
        let itself = self.credential.is_some_and(|principal| principal.token_id == old_id);
        if !itself {
            self.may_delegate(&new.scopes)?;
        }
        self.narrow(now, config, new)
    }

    /// Refuses to change or revoke a key outside the project of the actor's own key, or, if that one is not for `live`,
    /// a key for another environment.
    pub fn reaches_key(&self, key: &ApiKey) -> Result<(), Error> {
        self.reaches_project(key.project_id.as_deref())?;
        match self.key() {
            Some(own) if own.environment != LIVE && own.environment != key.environment => {
                deny_escalation(format!("a key for {} can only be used for keys for {0}", own.environment))
            }
            _ => Ok(()),
        }
    }

    /// Refuses access to any project but that of the actor's own key; `None` stands for everything outside projects.
    pub fn reaches_project(&self, project: Option<&str>) -> Result<(), Error> {
        match self.own_project() {
            Some(own) if project != Some(own) => deny_escalation("a project's key can only be used for that project"),
            _ => Ok(()),
        }
    }

    /// Refuses to change a project with a key that is not for `live`: a project's keys are for every environment.
    pub fn changes_project(&self, config: &Config, project: &str) -> Result<(), Error> {
        self.reaches_project(Some(project))?;
        match self.key() {
            Some(own) if is_narrow(config, own) => deny_escalation(format!(
                "a key for {} cannot change a project, since that would affect keys of other environments",
                own.environment
            )),
            _ => Ok(()),
        }
    }

    /// The project of a new key, or of the keys to list. A project's key may name only its own project.
    pub fn choose_project(&self, asked: Option<String>) -> Result<Option<String>, Error> {
        match (self.own_project(), asked) {
            (Some(own), Some(asked)) if own != asked => {
                deny_escalation("a project's key can only be used for that project")
            }
            (own, asked) => Ok(asked.or(own.map(ToOwned::to_owned))),
        }
    }

    /// Refuses networks that are wider than those of the actor's own key.
    pub fn within(&self, networks: &Networks) -> Result<(), Error> {
        match self.key() {
            Some(key) if !networks.is_within(&key.networks) => {
                deny_escalation(format!("the new key's networks must lie within {}", key.networks))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an unlimited result, such as a client's secret, to an actor whose own credential is limited.
    pub fn unbounded(&self, config: &Config, what: &str) -> Result<(), Error> {
        let Some(principal) = self.credential else { return Ok(()) };
        let bound = match &principal.key {
            _ if principal.expires_at.is_some() => "expires",
            Some(key) if !key.networks.is_any() => "is limited to networks",
            Some(key) if key.project.is_some() => "is limited to a project",
            Some(key) if is_narrow(config, key) => "is limited to one environment",
            _ => return Ok(()),
        };
        deny_escalation(format!("this credential {bound}, but {what} would not be limited"))
    }

    fn narrow(&self, now: Timestamp, config: &Config, new: &mut NewKey) -> Result<(), Error> {
        let Some(principal) = self.credential else { return Ok(()) };
        if let Some(end) = principal.expires_at {
            let left = (end.seconds() - now.seconds()).max(1);
            new.expires_in_seconds = Some(new.expires_in_seconds.map_or(left, |asked| asked.min(left)));
        }
        let Some(key) = &principal.key else { return Ok(()) };
        if new.networks.is_any() {
            new.networks = key.networks.clone();
        }
        self.within(&new.networks)?;
        let asked = new.environment.as_deref().unwrap_or(config.default_environment());
        if key.environment != LIVE && asked != key.environment {
            return deny_escalation(format!("a key for {} can only create keys for {0}", key.environment));
        }
        // Each key with its own plan is counted separately, so creating more keys would multiply the quota.
        let shared = [Some(principal.subject.as_str()), self.own_project()];
        let has_own_plan = principal.quota.as_ref().is_some_and(|quota| !shared.contains(&Some(&quota.subject)));
        if has_own_plan && new.plan.is_none() {
            return Err(Error::invalid_request("a key with its own plan can only create keys that have one"));
        }
        Ok(())
    }
}

/// Whether a key is for another environment than `live` in a deployment that has `live`.
fn is_narrow(config: &Config, key: &PrincipalKey) -> bool {
    key.environment != LIVE && config.environments.iter().any(|name| name == LIVE)
}

fn deny_escalation<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::new(ErrorCode::InsufficientScope, message.into()))
}
