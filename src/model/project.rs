//! Owns the project: a named container of one user's keys, with a policy for creating them.

use std::collections::HashSet;

use super::{clock::Timestamp, error::Error, key::KeyForm, policy::KEY_SECONDS_MAX, secret::is_other_kind, words};

/// A container of keys, such as a harbor or a grid.
#[derive(Clone, Debug)]
pub struct Project {
    /// `project_…`.
    pub id: String,
    /// The owner.
    pub user_id: String,
    /// Its name, unique for its owner.
    pub name: String,
    /// The form of its keys.
    pub key_form: KeyForm,
    /// Whether at most one of its keys is live: another is refused until that one is revoked or regenerated.
    pub one_live_key: bool,
    /// Other properties of its new keys.
    pub key_terms: KeyTerms,
    /// The plan that its keys share, instead of the user's.
    pub plan: Option<String>,
    /// Who disabled it, if disabled: none of its keys are accepted, and none can be created.
    pub disabled_by: Option<DisabledBy>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Properties of a project's new keys, beside their form. Existing keys stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTerms {
    /// How they start, instead of the configured prefix.
    pub prefix: Option<String>,
    /// The environments that they can be for, the default first; empty for all.
    pub environments: Vec<String>,
    /// Seconds until they expire if their creator does not say; `None` for never.
    pub expires_in: Option<i64>,
}

/// Changes to terms; `None` leaves a member unchanged.
#[derive(Clone, Debug, Default)]
pub struct KeyTermsChange {
    /// Another prefix, or the configured one.
    pub prefix: Option<Option<String>>,
    /// Other environments; empty for all.
    pub environments: Option<Vec<String>>,
    /// Another default expiry, or none.
    pub expires_in: Option<Option<i64>>,
}

impl KeyTerms {
    /// These terms with changes.
    pub fn with(self, to: KeyTermsChange) -> Self {
        let mut seen = HashSet::new();
        let mut environments = to.environments.unwrap_or(self.environments);
        environments.retain(|name| seen.insert(name.clone()));
        Self {
            prefix: to.prefix.unwrap_or(self.prefix),
            environments,
            expires_in: to.expires_in.unwrap_or(self.expires_in),
        }
    }

    /// Refuses terms that no key can fulfil.
    pub fn check(&self, configured: &[String]) -> Result<(), Error> {
        self.check_form()?;
        if !self.environments.iter().all(|name| configured.contains(name)) {
            return Err(Error::invalid_request(format!("environments must be of: {}", configured.join(", "))));
        }
        let is_taken = |prefix: &String| configured.iter().any(|name| is_other_kind(&format!("{prefix}_{name}_")));
        if self.prefix.as_ref().is_some_and(is_taken) {
            return Err(Error::invalid_request("this key prefix is that of other secrets; choose another"));
        }
        Ok(())
    }

    /// As [`Self::check`], where the configuration is not known.
    pub fn check_form(&self) -> Result<(), Error> {
        let is_word = |text: &String| {
            (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if !self.prefix.iter().all(is_word) {
            return Err(Error::invalid_request("a key prefix has 1 to 20 lower-case letters and digits"));
        }
        if self.environments.len() > 20 || !self.environments.iter().all(is_word) {
            return Err(Error::invalid_request("environments are at most 20 names"));
        }
        match self.expires_in {
            Some(seconds) if !(1..=KEY_SECONDS_MAX).contains(&seconds) => {
                Err(Error::invalid_request("a key's lifetime must be between one second and ten years"))
            }
            _ => Ok(()),
        }
    }
}

/// Who disabled a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledBy {
    /// Its owner, who may enable it again.
    Owner,
    /// An administrator: the owner cannot enable it.
    Administrator,
}

words!(DisabledBy { Owner => "owner", Administrator => "administrator" });

impl Project {
    /// Whether its keys are refused.
    pub fn is_disabled(&self) -> bool {
        self.disabled_by.is_some()
    }
}
