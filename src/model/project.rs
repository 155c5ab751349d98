//! Owns the project: a named container of one user's keys, with a policy for creating them.

use super::{clock::Timestamp, key::KeyForm, words};

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
    /// The plan that its keys share, instead of the user's.
    pub plan: Option<String>,
    /// Who disabled it, if disabled: none of its keys are accepted, and none can be created.
    pub disabled_by: Option<DisabledBy>,
    /// When it was created.
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

words!(DisabledBy { Owner => "owner", Administrator => "administrator" });

impl Project {
    /// Whether its keys are refused.
    pub fn is_disabled(&self) -> bool {
        self.disabled_by.is_some()
    }
}
