//! Owns the user. Does not own passwords; see `engine::password`.

/// A resource owner: a person who signs in.
#[derive(Clone, Debug)]
pub struct User {
    /// `user_…`.
    pub id: String,
    /// In normal form; see `email`.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Name of the user's plan.
    pub plan: String,
    /// Whether the user may administer this server.
    pub admin: bool,
    /// Whether the user is not disabled.
    pub active: bool,
}
