//! Owns the project: a named container of one user's keys, and the policy they are made by.

use super::{clock::Timestamp, key::KeyForm};

/// A container of keys, such as a harbor or a grid.
#[derive(Clone, Debug)]
pub struct Project {
    /// `project_…`.
    pub id: String,
    /// The owner.
    pub user_id: String,
    /// Its name; one user has no two alike.
    pub name: String,
    /// How its keys look.
    pub key_form: KeyForm,
    /// At most one key of it is live: another is refused until the one is revoked, or regenerated.
    pub one_live_key: bool,
    /// The plan its keys are measured by together, where it is not the user's.
    pub plan: Option<String>,
    /// Who disabled it, if it is: none of its keys are accepted, and none can be created.
    pub disabled_by: Option<DisabledBy>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Who disabled a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledBy {
    /// Its owner, who may enable it again.
    Owner,
    /// An administrator: the owner cannot enable it.
    Administrator,
}

impl DisabledBy {
    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Administrator => "administrator",
        }
    }

    /// Who a stored word means.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Administrator].into_iter().find(|who| who.as_str() == text)
    }
}

impl Project {
    /// Whether its keys are refused.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.disabled_by.is_some()
    }
}
