//! Owns the page of connected apps, the page that says why a request was refused, the page of what happened, and the page of
//! one's password and sessions.
//! Does not own the apps a developer registers (`apps.rs`) or the keys (`keys.rs`).

use askama::Template;

use super::parts::{Flash, ScopeLine, Shell, Tone, When};

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
    /// The operator allowed it, without consent.
    pub by_operator: bool,
    pub first_allowed: When,
    pub last_used: Option<When>,
}

impl ConnectedRow {
    #[must_use]
    pub fn monogram(&self) -> String {
        super::monogram(&self.name)
    }
}

/// `GET /settings/denied`: why a request was refused.
#[derive(Debug, Template)]
#[template(path = "denied.html")]
pub struct DeniedPage {
    pub shell: Shell,
    /// What was asked for; empty on the first visit.
    pub request_id: String,
    pub problem: Option<String>,
    /// One request's refusals; several requests may share an id that their senders chose.
    pub found: Vec<DenialRow>,
    /// The viewer's newest refusals, as long as there is no question.
    pub newest: Vec<DenialRow>,
    /// Sees everybody's refusals.
    pub is_admin: bool,
}

/// One refused request.
#[derive(Debug, Clone)]
pub struct DenialRow {
    pub at: When,
    pub status: u16,
    /// What the status means, in a word.
    pub meaning: &'static str,
    pub reason: String,
    /// Method and path, where they are known.
    pub request: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    pub request_id: String,
    pub api: Option<String>,
    /// What it carried: label, and path of its page where the viewer has one.
    pub credential: Option<Link>,
    /// Whose it was, for administrators.
    pub owner: Option<String>,
    pub address: String,
}

/// Words that lead somewhere, if there is somewhere to go.
#[derive(Debug, Clone)]
pub struct Link {
    pub label: String,
    pub href: Option<String>,
}

/// `GET /settings/activity`: what happened to one's account, newest first.
#[derive(Debug, Template)]
#[template(path = "activity.html")]
pub struct ActivityPage {
    pub shell: Shell,
    pub days: Vec<ActivityDay>,
    /// Not the newest.
    pub is_later: bool,
    /// Where the list goes on.
    pub next: Option<String>,
}

/// What happened on one day.
#[derive(Debug, Clone)]
pub struct ActivityDay {
    pub day: When,
    pub lines: Vec<EventLine>,
}

/// One thing that happened, as a sentence around what it happened to.
#[derive(Debug, Clone)]
pub struct EventLine {
    pub at: When,
    pub before: &'static str,
    pub subject: Option<Link>,
    pub after: String,
    /// By whom and from where.
    pub by: String,
    pub tone: Tone,
}

/// `GET /settings/security`: where one is signed in, and the password.
#[derive(Debug, Template)]
#[template(path = "security.html")]
pub struct SecurityPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    /// Whose password it is, also for the browser's password manager.
    pub email: String,
    /// One's own first.
    pub sessions: Vec<SessionRow>,
    pub form: PasswordForm,
}

/// One place where the user is signed in.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub id: String,
    pub is_own: bool,
    /// Such as "Firefox on Linux".
    pub device: String,
    pub address: String,
    pub since: When,
}

/// What was wrong with the form of a new password. What was typed is never shown again.
#[derive(Debug, Clone, Default)]
pub struct PasswordForm {
    pub current_error: Option<String>,
    pub new_error: Option<String>,
    pub again_error: Option<String>,
}

impl PasswordForm {
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.current_error.is_some() || self.new_error.is_some() || self.again_error.is_some()
    }
}
