//! Owns the password in forms of the pages: at sign-in, and again with a sensitive change. Its rules are in
//! `engine::authn`.

use std::{ops::Deref, sync::Arc};

use secrecy::SecretString;

use super::request::{Change, Form, PageFailure, Sender, Unchecked};
use crate::{
    app::App,
    engine::authn::{PasswordAttempt, PasswordCheck},
    http::{extract::RequestInfo, session::Viewer, signed_in::SignedIn},
    model::{email, error::Error},
    ui::Confirmation,
};

/// A signed-in user who gives the password with a sensitive change, unless the sign-in is recent.
#[derive(Debug)]
pub struct Confirming(SignedIn);

impl Sender for Confirming {
    async fn admit(app: &App, viewer: Viewer, form: &Unchecked) -> Result<Self, PageFailure> {
        SignedIn::admit(app, viewer, form).await.map(Self)
    }
}

impl Deref for Confirming {
    type Target = SignedIn;

    fn deref(&self) -> &SignedIn {
        &self.0
    }
}

/// The part of a form that asks for the password if the sign-in is not recent.
pub(super) fn confirmation(app: &App, signed_in: &SignedIn) -> Confirmation {
    let (form, ask_password) = (signed_in.viewer.form_id(app), signed_in.must_confirm());
    Confirmation { form, ask_password, password_error: None }
}

/// Whether a sensitive change is confirmed.
pub(super) enum Confirmed<'f> {
    Yes(Change<'f>),
    /// With the message to show beside the password field.
    No(String),
}

impl Form<Confirming> {
    /// Confirms a sensitive change: the sign-in is recent, or the form has the user's password.
    pub(super) async fn confirm(&self, app: &Arc<App>) -> Result<Confirmed<'_>, Error> {
        self.confirm_unless(false, app).await
    }

    /// As [`Self::confirm`], but a harmless change needs neither.
    pub(super) async fn confirm_unless(&self, is_harmless: bool, app: &Arc<App>) -> Result<Confirmed<'_>, Error> {
        let why = match self.params.get("password") {
            _ if is_harmless || !self.must_confirm() => None,
            None => Some("Please enter your password.".to_owned()),
            Some(password) => match check_password(app, &self.info, &self.viewer, &self.user.email, password).await? {
                PasswordCheck::Correct(user, _) if user.id == self.user.id => None,
                PasswordCheck::Correct(..) | PasswordCheck::Wrong => Some("The password is wrong.".to_owned()),
                PasswordCheck::Wait(seconds) => Some(too_many(seconds)),
            },
        };
        Ok(why.map_or_else(|| Confirmed::Yes(Change::of(app, &self.info, self)), Confirmed::No))
    }
}

/// Checks the password that a browser sent for this address, in a task of its own: it completes even if the client
/// disconnects or the request times out.
pub(super) async fn check_password(
    app: &Arc<App>,
    info: &RequestInfo,
    viewer: &Viewer,
    address: &str,
    password: &str,
) -> Result<PasswordCheck, Error> {
    let email = email::normalize(address).ok();
    let attempt = PasswordAttempt {
        now: info.now,
        origin: info.origin("anonymous"),
        sender: info.network(),
        is_known_browser: email.as_deref().is_some_and(|email| viewer.knows(app, email)),
        email,
        password: SecretString::from(password),
    };
    let app = Arc::clone(app);
    tokio::spawn(async move { attempt.check(app.engine()).await }).await.map_err(Error::server)?
}

/// The message for a user who has to wait.
pub(super) fn too_many(seconds: i64) -> String {
    if seconds < 60 {
        return "Too many attempts. Please try again in a few seconds.".to_owned();
    }
    let minutes = (seconds + 59) / 60;
    format!("Too many attempts. Please wait {minutes} minute{}.", if minutes == 1 { "" } else { "s" })
}
