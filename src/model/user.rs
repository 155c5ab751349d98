//! Owns the user. Does not own passwords; see `engine::password`.

/// A resource owner: a person who signs in.
#[derive(Clone, Debug)]
pub struct User {
    /// `user_…`.
    pub id: String,
    /// Normal form, see `email`.
    pub email: String,
    /// Name to show.
    pub name: String,
    /// Name of the user's plan.
    pub plan: String,
    /// May administer this server.
    pub admin: bool,
    /// Not disabled.
    pub active: bool,
}
