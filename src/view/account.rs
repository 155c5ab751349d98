//! Owns the pages of one's own account: API keys and connected apps.
//! Does not own the apps a developer registers (`apps.rs`).

use askama::Template;

use super::parts::{Choice, Flash, ScopeGroup, ScopeLine, Shell, Tone, When};

/// `GET /settings/keys`: the keys one has, and the form for a new one.
#[derive(Debug, Template)]
#[template(path = "keys.html")]
pub struct KeysPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub active: Vec<KeyRow>,
    /// Revoked and expired keys, kept in sight because somebody may ask why a script stopped.
    pub ended: Vec<KeyRow>,
    pub form: KeyForm,
}

/// One key in the list. The key itself is nowhere; `hint` is its prefix and last four characters.
#[derive(Debug, Clone)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    pub hint: String,
    /// `live` or `test`.
    pub environment: String,
    pub project: Option<String>,
    pub scopes: Vec<String>,
    pub created: When,
    pub last_used: Option<When>,
    pub expires: Option<When>,
    pub status: String,
    pub tone: Tone,
}

impl KeyRow {
    #[must_use]
    pub fn bitting(&self) -> String {
        super::bitting(&self.id)
    }
}

/// The form for a new key, with what was typed before when it comes back with an error.
#[derive(Debug, Clone, Default)]
pub struct KeyForm {
    /// One-time id, so that a double click makes one key.
    pub form: String,
    pub name: String,
    pub name_error: Option<String>,
    pub scopes: Vec<ScopeGroup>,
    pub scope_error: Option<String>,
    pub environments: Vec<Choice>,
    pub expiries: Vec<Choice>,
    /// The sign-in is not recent, so the password is asked for again.
    pub ask_password: bool,
    pub password_error: Option<String>,
}

impl KeyForm {
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.name_error.is_some() || self.scope_error.is_some() || self.password_error.is_some()
    }
}

/// The answer to a new key: the only page that ever shows it.
#[derive(Debug, Template)]
#[template(path = "key_created.html")]
pub struct KeyCreatedPage {
    pub shell: Shell,
    pub id: String,
    pub name: String,
    pub key: String,
    pub environment: String,
    pub scopes: Vec<String>,
    pub expires: Option<When>,
    /// A command to paste that uses the key.
    pub curl: String,
}

impl KeyCreatedPage {
    #[must_use]
    pub fn bitting(&self) -> String {
        super::bitting(&self.id)
    }
}

/// `GET /settings/apps`: the apps one has let in.
#[derive(Debug, Template)]
#[template(path = "connected.html")]
pub struct ConnectedPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub apps: Vec<ConnectedRow>,
}

/// One app that may act for the user.
#[derive(Debug, Clone)]
pub struct ConnectedRow {
    pub client_id: String,
    pub name: String,
    pub host: String,
    pub scopes: Vec<ScopeLine>,
    pub first_allowed: When,
    pub last_used: Option<When>,
}

impl ConnectedRow {
    #[must_use]
    pub fn monogram(&self) -> String {
        super::monogram(&self.name)
    }
}
