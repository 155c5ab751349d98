//! Owns `/settings/security`: the user's password and sessions. Does not check passwords (see `reauth`) or decide which
//! are good enough (see `engine::new_password`).

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
};
use secrecy::SecretString;

use super::{
    format,
    login::new_session,
    reauth::{PasswordCheck, too_many, verify_password},
    request::{Id, PageResult, query, redirect, signed_form},
};
use crate::{
    app::App,
    engine::new_password::{NewPassword, PasswordOwner},
    http::{
        extract::RequestInfo,
        page::{render, shell},
        session,
        signed_in::SignedIn,
    },
    model::{
        error::{Error, ErrorCode},
        params::Params,
        secret::Digest,
    },
    ui::{Flash, Nav, Shell, Tone, When, sentence},
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
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.current_error.is_some() || self.new_error.is_some() || self.again_error.is_some()
    }
}

/// `GET /settings/security`
pub async fn show(State(app): State<Arc<App>>, info: RequestInfo, uri: Uri, headers: HeaderMap) -> PageResult {
    let signed_in = SignedIn::of(&app, info.now, &headers).await?;
    let text = match query(&uri)?.get("done") {
        Some("password") => Some("Your password was changed. You are signed out everywhere else."),
        Some("ended") => Some("That browser is signed out."),
        Some("others") => Some("You are signed out everywhere else."),
        _ => None,
    };
    let flash = text.map(|text| Flash { tone: Tone::Good, text: text.to_owned() });
    page(&app, &info, &signed_in, flash, PasswordForm::default(), StatusCode::OK).await
}

/// `POST /settings/security/password`
pub async fn change_password(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> PageResult {
    let agent = session::agent(request.headers());
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let params = body.params()?;
    params.refuse_duplicates(&[])?;
    let (form, status) = match chosen(&app, &signed_in, &params) {
        Err(form) => (form, StatusCode::BAD_REQUEST),
        Ok(new) => {
            let current = params.get("current").unwrap_or_default();
            match verify_password(&app, &info, &signed_in.viewer, &signed_in.user.email, current).await? {
                PasswordCheck::Correct(user, checked) => {
                    let hash = app.passwords.hash(new).await?;
                    let (cookie, session) = new_session(&app, &info, &signed_in.viewer, &user, checked, agent);
                    let origin = info.origin(&user.id);
                    if app.store.change_password(info.now, origin, session, hash).await? {
                        let done = redirect(&app, "/settings/security?done=password");
                        return Ok(session::begin(&app, done, cookie, &user.email));
                    }
                    (wrong(NOT_CURRENT), StatusCode::CONFLICT)
                }
                PasswordCheck::Wrong => (wrong(NOT_CURRENT), StatusCode::BAD_REQUEST),
                PasswordCheck::Wait(seconds) => (wrong(&too_many(seconds)), StatusCode::TOO_MANY_REQUESTS),
            }
        }
    };
    page(&app, &info, &signed_in, None, form, status).await
}

/// `POST /settings/security/sessions/{id}/end`
pub async fn end_session(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, _) = signed_form(&app, &info, request).await?;
    let sessions = app.store.list_sessions(info.now, &signed_in.user.id).await?;
    let meant = sessions.into_iter().find(|session| name(&session.digest) == id).ok_or_else(Error::not_found)?;
    end(&app, &info, &signed_in, Some(meant.digest)).await?;
    Ok(redirect(&app, "/settings/security?done=ended"))
}

/// `POST /settings/security/sessions/end-others`
pub async fn end_others(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> PageResult {
    let (signed_in, _) = signed_form(&app, &info, request).await?;
    end(&app, &info, &signed_in, None).await?;
    Ok(redirect(&app, "/settings/security?done=others"))
}

async fn end(app: &App, info: &RequestInfo, signed_in: &SignedIn, only: Option<Digest>) -> Result<(), Error> {
    let user_id = signed_in.user.id.clone();
    let own = signed_in.viewer.session().ok_or_else(|| Error::new(ErrorCode::Forbidden, "you are not signed in"))?;
    app.store.end_sessions(info.now, info.origin(&user_id), user_id.clone(), own, only).await?;
    Ok(())
}

/// The new password from the form, if it is acceptable; else the errors, each beside its field.
fn chosen(app: &App, signed_in: &SignedIn, params: &Params<'_>) -> Result<NewPassword, PasswordForm> {
    let new = params.get("new").unwrap_or_default();
    let user = &signed_in.user;
    let whose = PasswordOwner { issuer: &app.config.issuer, email: &user.email, name: &user.name };
    let accepted = NewPassword::accept(&SecretString::from(new), whose)
        .map_err(|error| PasswordForm { new_error: Some(sentence(&error.description)), ..PasswordForm::default() })?;
    if params.get("again") != Some(new) {
        let differs = "The passwords do not match.".to_owned();
        return Err(PasswordForm { again_error: Some(differs), ..PasswordForm::default() });
    }
    Ok(accepted)
}

fn wrong(why: &str) -> PasswordForm {
    PasswordForm { current_error: Some(why.to_owned()), ..PasswordForm::default() }
}

/// A session's name in the list. No cookie can be derived from it.
fn name(digest: &Digest) -> String {
    Digest::of(&digest.text()).text().chars().filter(char::is_ascii_alphanumeric).take(NAME_CHARS).collect()
}

async fn page(
    app: &App,
    info: &RequestInfo,
    signed_in: &SignedIn,
    flash: Option<Flash>,
    form: PasswordForm,
    status: StatusCode,
) -> PageResult {
    let own = signed_in.viewer.session();
    let sessions = app.store.list_sessions(info.now, &signed_in.user.id).await?;
    let mut sessions: Vec<SessionRow> = sessions
        .into_iter()
        .map(|session| SessionRow {
            id: name(&session.digest),
            is_own: Some(session.digest) == own,
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
    let mut response = render(&page);
    *response.status_mut() = status;
    Ok(response)
}
