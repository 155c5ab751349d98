//! Owns the pages of API keys and of the projects that hold them.
//! Does not own what happened to them in words (`account.rs`).

use std::fmt;

use askama::Template;

use super::{
    account::{DenialRow, EventLine, Link},
    chart::Chart,
    parts::{Choice, Flash, ScopeGroup, Shell, Step, Tone, When},
};

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
    /// `live`, `test`, or another name the deployment knows.
    pub environment: String,
    pub project: Option<Link>,
    /// A plan of its own.
    pub plan: Option<String>,
    /// From where it may be used; empty means anywhere.
    pub networks: Vec<String>,
    pub scopes: Vec<String>,
    pub created: When,
    pub last_used: Option<LastUse>,
    pub expires: Option<When>,
    pub status: String,
    pub tone: Tone,
    /// The key that was created in its place.
    pub replaced_by: Option<Link>,
    /// The key in whose place it was created, as long as that one works.
    pub replaces: Option<Link>,
}

/// The last time a key was accepted.
#[derive(Debug, Clone)]
pub struct LastUse {
    pub at: When,
    pub address: Option<String>,
    pub agent: Option<String>,
}

impl KeyRow {
    #[must_use]
    pub fn bitting(&self) -> String {
        super::bitting(&self.id)
    }

    /// Its networks in few words.
    #[must_use]
    pub fn networks_short(&self) -> String {
        match self.networks.as_slice() {
            [] => "anywhere".to_owned(),
            [one] => one.clone(),
            [one, rest @ ..] => format!("{one} and {} more", rest.len()),
        }
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
    /// The projects to choose from; empty where there are none, or where the page is a project's.
    pub projects: Vec<Choice>,
    pub project_error: Option<String>,
    pub environments: Vec<Choice>,
    pub expiries: Vec<Choice>,
    /// CIDR notation, one a line.
    pub networks: String,
    pub networks_error: Option<String>,
    /// The sign-in is not recent, so the password is asked for again.
    pub ask_password: bool,
    pub password_error: Option<String>,
}

impl KeyForm {
    #[must_use]
    pub fn has_errors(&self) -> bool {
        let errors =
            [&self.name_error, &self.scope_error, &self.project_error, &self.networks_error, &self.password_error];
        errors.into_iter().any(Option::is_some)
    }
}

/// The answer to a new key: the only page that ever shows it.
#[derive(Template)]
#[template(path = "key_created.html")]
pub struct KeyCreatedPage {
    pub shell: Shell,
    pub id: String,
    pub name: String,
    pub key: String,
    pub environment: String,
    pub scopes: Vec<String>,
    pub expires: Option<When>,
    /// What becomes of the key before this one.
    pub before: Option<String>,
    /// Where this key belongs.
    pub back: Link,
    /// A command to paste that uses the key.
    pub curl: String,
}

impl fmt::Debug for KeyCreatedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCreatedPage").field("id", &self.id).finish_non_exhaustive()
    }
}

impl KeyCreatedPage {
    #[must_use]
    pub fn bitting(&self) -> String {
        super::bitting(&self.id)
    }
}

/// `GET /settings/keys/{id}`: one key, its use, and what can be done with it.
#[derive(Debug, Template)]
#[template(path = "key.html")]
pub struct KeyPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub key: KeyRow,
    /// How it looks, in words.
    pub kind: &'static str,
    pub is_live: bool,
    /// Its project has one live key at a time, so that nothing overlaps.
    pub one_live_key: bool,
    pub bound: Step,
    pub regenerate: Step,
    pub rotate: Step,
    pub overlaps: Vec<Choice>,
    pub networks: String,
    pub networks_error: Option<String>,
    pub hours: Chart,
    pub days: Chart,
    /// Where it was used from, newest first.
    pub places: Vec<PlaceRow>,
    pub history: Vec<EventLine>,
    pub denials: Vec<DenialRow>,
}

/// A place a key was used from.
#[derive(Debug, Clone)]
pub struct PlaceRow {
    pub network: String,
    pub first_seen: When,
}

/// `GET /settings/projects`: the projects one has, and the form for a new one.
#[derive(Debug, Template)]
#[template(path = "projects.html")]
pub struct ProjectsPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub projects: Vec<ProjectRow>,
    pub form: ProjectForm,
}

/// One project in the list.
#[derive(Debug, Clone)]
pub struct ProjectRow {
    pub id: String,
    pub name: String,
    /// Such as `2 live keys`.
    pub keys: String,
    pub last_used: Option<When>,
    pub one_live_key: bool,
    pub is_uuid: bool,
    pub disabled: bool,
}

impl ProjectRow {
    #[must_use]
    pub fn monogram(&self) -> String {
        super::monogram(&self.name)
    }
}

/// What an owner says about a project.
#[derive(Debug, Clone, Default)]
pub struct ProjectForm {
    pub form: String,
    pub name: String,
    pub name_error: Option<String>,
    pub is_uuid: bool,
    pub one_live_key: bool,
}

/// `GET /settings/projects/{id}`: one project and its keys.
#[derive(Debug, Template)]
#[template(path = "project.html")]
pub struct ProjectPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub id: String,
    pub name: String,
    pub created: When,
    /// A plan of its own.
    pub plan: Option<String>,
    pub disabled: bool,
    /// By an administrator: not for the owner to enable.
    pub barred: bool,
    pub one_live_key: bool,
    pub active: Vec<KeyRow>,
    pub ended: Vec<KeyRow>,
    /// The one live key to regenerate here, if there is exactly one.
    pub regenerate: Option<(String, Step)>,
    /// How its settings are changed.
    pub settings: Step,
    /// How it is disabled or enabled.
    pub switch: Step,
    /// The form for another key, where the policy allows one.
    pub new_key: Option<KeyForm>,
    pub form: ProjectForm,
}

impl ProjectPage {
    #[must_use]
    pub fn monogram(&self) -> String {
        super::monogram(&self.name)
    }
}
