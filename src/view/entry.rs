//! Owns the pages one meets on the way in: sign in, consent, notices, and ending a leaked key.
//! Does not decide what they say; a handler did.

use askama::Template;

use super::parts::{Badge, ScopeLine, Shell};

/// `GET /login`, and the same again after a failed attempt.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    pub shell: Shell,
    /// Id of the stored interaction to return to; empty when none is under way.
    pub interaction: String,
    /// Name of the app one is signing in to reach.
    pub reaching: Option<String>,
    /// Who is signed in, where that is enough for the app: there is nothing to type.
    pub signed_in: Option<Badge>,
    /// How one came here, such as "You are signed out."
    pub notice: Option<String>,
    /// Why a signed-in user is asked again, such as "Please confirm it is you".
    pub reason: Option<String>,
    /// What was typed before, kept after an error.
    pub email: String,
    /// The same words whatever went wrong, so that nobody learns which addresses exist.
    pub error: Option<String>,
}

/// `GET /consent`: what an app asks for, in words.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    pub shell: Shell,
    pub interaction: String,
    /// Comes back with the answer: what the page said of the app.
    pub seen: String,
    pub user: Badge,
    pub client_name: String,
    pub client_id: String,
    pub redirect_host: String,
    /// "registered by …" or another hint for a client nobody vouches for; `None` for first-party apps.
    pub unverified: Option<String>,
    /// Shown when the answer goes to a program on this computer, which any program could be.
    pub loopback_only: bool,
    pub apis: Vec<ConsentApi>,
    /// How long the access lasts, such as "Until you remove it" or "1 hour".
    pub lasts: String,
}

impl ConsentPage {
    #[must_use]
    pub fn client_monogram(&self) -> String {
        super::monogram(&self.client_name)
    }
}

/// The part of a request that concerns one API.
#[derive(Debug, Clone)]
pub struct ConsentApi {
    pub name: String,
    pub scopes: Vec<ScopeLine>,
}

/// Errors and other full-page messages.
#[derive(Debug, Template)]
#[template(path = "notice.html")]
pub struct NoticePage {
    pub shell: Shell,
    pub status: u16,
    pub heading: String,
    pub message: String,
    /// Lets the owner or an admin find the private cause; empty when there is nothing to look up.
    pub request_id: String,
    /// Where to go from here: label and URL.
    pub link: Option<(String, String)>,
}

/// `GET /leaked`, and what is said after a key was given: the same for any.
#[derive(Debug, Template)]
#[template(path = "leaked.html")]
pub struct LeakedPage {
    pub shell: Shell,
    pub is_done: bool,
}
