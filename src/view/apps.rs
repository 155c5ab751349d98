//! Owns the pages of a developer: the apps they registered, their secrets, and the example callback.
//! Does not own the apps a user let in (`account.rs`).

use askama::Template;

use super::parts::{Choice, Flash, ScopeGroup, Shell, Step, When};

/// `GET /apps`: the clients one registered.
#[derive(Debug, Template)]
#[template(path = "apps.html")]
pub struct AppsPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub apps: Vec<AppRow>,
}

/// One registered client.
#[derive(Debug, Clone)]
pub struct AppRow {
    pub client_id: String,
    pub name: String,
    /// `Confidential` or `Public`.
    pub kind: String,
    pub created: When,
}

impl AppRow {
    #[must_use]
    pub fn monogram(&self) -> String {
        super::monogram(&self.name)
    }
}

/// What a developer types about an app, kept when the form comes back with errors beside the fields.
#[derive(Debug, Clone, Default)]
pub struct AppForm {
    pub form: String,
    pub name: String,
    pub name_error: Option<String>,
    pub is_public: bool,
    /// One address a line.
    pub redirect_uris: String,
    pub redirect_uris_error: Option<String>,
    pub scopes: Vec<ScopeGroup>,
    pub scope_error: Option<String>,
    /// It gets no codes, so it need not have an address to send them to.
    pub without_codes: bool,
    /// The sign-in is not recent, so the password is asked for again.
    pub ask_password: bool,
    pub password_error: Option<String>,
}

impl AppForm {
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.name_error.is_some() || self.redirect_uris_error.is_some() || self.scope_error.is_some()
    }
}

/// `GET /apps/new`.
#[derive(Debug, Template)]
#[template(path = "app_new.html")]
pub struct AppNewPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub form: AppForm,
}

/// The answer to a new app or a new secret: the only page that ever shows the secret.
#[derive(Debug, Template)]
#[template(path = "app_secret.html")]
pub struct AppSecretPage {
    pub shell: Shell,
    pub client_id: String,
    pub name: String,
    /// `None` for public clients, which have no secret to keep.
    pub secret: Option<String>,
    /// True after a rotation, false for a new app.
    pub rotated: bool,
    /// When the secret before this one stops working, if it still does.
    pub previous_ends: Option<When>,
    pub exchange: Exchange,
}

/// Ready-to-paste examples of the authorization-code flow for one app.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Makes the PKCE pair (RFC 7636 §4) and prints the address to send the user to.
    pub start: String,
    /// Exchanges the code that comes back.
    pub curl: String,
}

/// `GET /apps/{id}`: one app, to edit, rotate and delete.
#[derive(Debug, Template)]
#[template(path = "app.html")]
pub struct AppPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub client_id: String,
    pub name: String,
    pub kind: String,
    pub created: When,
    pub form: AppForm,
    /// What only an administrator changes.
    pub fixed: Fixed,
    pub details: Step,
    pub rotate: Step,
    pub delete: Step,
    /// `None` for public clients.
    pub secrets: Option<Vec<SecretRow>>,
    /// How long the old secret keeps working after a rotation.
    pub overlaps: Vec<Choice>,
}

/// The parts of an app that its owner can see and not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    /// Nothing.
    Nothing,
    /// Its permissions: it acts without a user.
    Scopes,
    /// Its name, redirect URIs and scopes, since users are not asked for consent.
    Details,
}

impl AppPage {
    #[must_use]
    pub fn has_fixed_details(&self) -> bool {
        self.fixed == Fixed::Details
    }

    #[must_use]
    pub fn has_fixed_scopes(&self) -> bool {
        self.fixed != Fixed::Nothing
    }

    #[must_use]
    pub fn monogram(&self) -> String {
        super::monogram(&self.name)
    }
}

/// One secret of an app: its last four characters and its span.
#[derive(Debug, Clone)]
pub struct SecretRow {
    pub hint: String,
    pub created: When,
    pub ends: Option<When>,
}

/// `GET /apps/callback`: where an example app can send its users.
#[derive(Debug, Template)]
#[template(path = "callback.html")]
pub struct CallbackPage {
    pub shell: Shell,
    pub outcome: CallbackOutcome,
    pub state: String,
}

/// What came back in the query. All of it is somebody else's words: shown, never obeyed.
#[derive(Debug, Clone)]
pub enum CallbackOutcome {
    Code {
        code: String,
        curl: String,
    },
    Refused {
        error: String,
        description: String,
    },
    /// Opened without an answer.
    Nothing,
}
