//! Owns the project: a named container of one user's keys, and the policy they are made by. Does not make keys.

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
    /// None of its keys are accepted.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}
