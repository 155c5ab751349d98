//! Owns `/settings/security`: the user's password and sessions. Does not check passwords (see `reauth`) or decide which
//! are good enough (see `engine::new_password`).

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use secrecy::SecretString;

use super::{
    format,
    reauth::{check_password, too_many},
    request::{Form, Id, PageResult, done, redirect},
};
use crate::{
    app::App,
    engine::{
        authn::PasswordCheck,
        new_password::{NewPassword, PasswordOwner},
    },
    http::{
        page::{render_as, shell},
        session,
        signed_in::SignedIn,
    },
    model::{error::Error, secret::Digest},
    ui::{Flash, Nav, Shell, When, sentence},
};

/// Characters of a session's name in the list.
const NAME_CHARS: usize = 24;

const NOT_CURRENT: &str = "The password is wrong.";

/// `GET /settings/security`: the user's sessions and password.
#[derive(Debug, Template)]
#[template(path = "security.html")]
pub struct SecurityPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    /// The user's address, also for the browser's password manager.
    pub email: String,
    /// The current session first.
    pub sessions: Vec<SessionRow>,
    pub form: PasswordForm,
}

/// One session of the user.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub id: String,
    pub is_own: bool,
    /// Such as "Firefox on Linux".
    pub device: String,
    pub address: String,
    pub since: When,
}

/// Errors in the form for a new password. The input is never shown again.
#[derive(Debug, Clone, Default)]
pub struct PasswordForm {
    pub current_error: Option<String>,
    pub new_error: Option<String>,
    pub again_error: Option<String>,
}

impl PasswordForm {
    pub fn is_wrong(&self) -> bool {
        self.current_error.is_some() || self.new_error.is_some() || self.again_error.is_some()
    }
}

/// `GET /settings/security`
pub async fn show(State(app): State<Arc<App>>, signed_in: SignedIn, uri: Uri) -> PageResult {
    let texts = [
        ("password", "Your password was changed. You are signed out everywhere else."),
        ("ended", "That browser is signed out."),
        ("others", "You are signed out everywhere else."),
    ];
    page(&app, &signed_in, done(&uri, &texts)?, PasswordForm::default(), StatusCode::OK).await
}

/// `POST /settings/security/password`
pub async fn change_password(State(app): State<Arc<App>>, form: Form<SignedIn>) -> PageResult {
    let (wrong, status) = match chosen(&app, &form) {
        Err(wrong) => (wrong, StatusCode::BAD_REQUEST),
        Ok(new) => match check_password(&app, &form.info, &form.viewer, &form.user.email, form.get("current")).await? {
            PasswordCheck::Correct(user, proof) => {
                let hash = app.passwords.hash(new).await?;
                let (session, cookie) = form.viewer.new_session(&app, &user, proof, form.agent.clone());
                if app.store.change_password(form.info.now, form.info.origin(&user.id), session, hash).await? {
                    let done = redirect(&app, "/settings/security?done=password");
                    return Ok(session::begin(&app, done, cookie, &user.email));
                }
                (not_current(NOT_CURRENT), StatusCode::CONFLICT)
            }
            PasswordCheck::Wrong => (not_current(NOT_CURRENT), StatusCode::BAD_REQUEST),
            PasswordCheck::Wait(seconds) => (not_current(&too_many(seconds)), StatusCode::TOO_MANY_REQUESTS),
        },
    };
    page(&app, &form, None, wrong, status).await
}

/// `POST /settings/security/sessions/{id}/end`
pub async fn end_session(State(app): State<Arc<App>>, Id(id): Id, form: Form<SignedIn>) -> PageResult {
    let sessions = app.store.list_sessions(form.info.now, &form.user.id).await?;
    let meant = sessions.into_iter().find(|session| name(&session.digest) == id).ok_or_else(Error::not_found)?;
    end(&app, &form, Some(meant.digest)).await?;
    Ok(redirect(&app, "/settings/security?done=ended"))
}

/// `POST /settings/security/sessions/end-others`
pub async fn end_others(State(app): State<Arc<App>>, form: Form<SignedIn>) -> PageResult {
    end(&app, &form, None).await?;
    Ok(redirect(&app, "/settings/security?done=others"))
}

async fn end(app: &App, form: &Form<SignedIn>, only: Option<Digest>) -> Result<(), Error> {
    let user_id = form.user.id.clone();
    app.store.end_sessions(form.info.now, form.info.origin(&user_id), user_id, form.session, only).await?;
    Ok(())
}

/// The new password from the form, if it is acceptable; else the errors, each beside its field.
fn chosen(app: &App, form: &Form<SignedIn>) -> Result<NewPassword, PasswordForm> {
    let (new, user) = (form.get("new"), &form.user);
    let whose = PasswordOwner { issuer: &app.config.issuer, email: &user.email, name: &user.name };
    let accepted = NewPassword::accept(&SecretString::from(new), whose)
        .map_err(|error| PasswordForm { new_error: Some(sentence(&error.description)), ..PasswordForm::default() })?;
    if form.get("again") != new {
        let differs = "The passwords do not match.".to_owned();
        return Err(PasswordForm { again_error: Some(differs), ..PasswordForm::default() });
    }
    Ok(accepted)
}

fn not_current(why: &str) -> PasswordForm {
    PasswordForm { current_error: Some(why.to_owned()), ..PasswordForm::default() }
}

/// A session's name in the list. No cookie can be derived from it.
fn name(digest: &Digest) -> String {
    Digest::of(&digest.text()).text().chars().filter(char::is_ascii_alphanumeric).take(NAME_CHARS).collect()
}

async fn page(
    app: &App,
    signed_in: &SignedIn,
    flash: Option<Flash>,
    form: PasswordForm,
    status: StatusCode,
) -> PageResult {
    let sessions = app.store.list_sessions(signed_in.viewer.now, &signed_in.user.id).await?;
    let mut sessions: Vec<SessionRow> = sessions
        .into_iter()
        .map(|session| SessionRow {
            id: name(&session.digest),
            is_own: session.digest == signed_in.session,
            device: format::device(&session.agent),
            address: session.address,
            since: format::moment(session.auth_time),
        })
        .collect();
    sessions.sort_by_key(|session| !session.is_own);
    let page = SecurityPage {
        shell: shell(app, &signed_in.viewer, "Security", Nav::None),
        flash,
        email: signed_in.user.email.clone(),
        sessions,
        form,
    };
    Ok(render_as(status, &page))
}
