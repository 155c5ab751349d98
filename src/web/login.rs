//! Owns `/login` and `/logout`. Does not decide the next page: an interaction leads back to `/oauth/authorize`, and
//! otherwise `http::login_redirect` has stored the requested page. No redirect target is ever taken from a request.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
};

use super::{
    reauth::{PasswordCheck, too_many, verify_password},
    request::{PageResult, query, read, redirect},
};
use crate::{
    app::App,
    engine::interactions,
    http::{
        extract::RequestInfo,
        page::{render, render_toward_app, shell},
        session::{self, Viewer},
    },
    model::{error::Error, secret::Digest, user::User},
    store::{Interaction, LoginReason, NewSession},
    ui::{Badge, Nav, Shell},
};

/// The same for an unknown address, a wrong password and a disabled user, so as not to reveal which addresses exist.
const MISMATCH: &str = "The email address or password is wrong.";

/// `GET /login`, and the same page after a failed attempt.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    pub shell: Shell,
    /// Id of the stored interaction to return to; empty if there is none.
    pub interaction: String,
    /// Name of the app that the user is signing in to.
    pub reaching: Option<String>,
    /// The signed-in user, if that is enough for the app: there is nothing to type.
    pub signed_in: Option<Badge>,
    /// How the user came here, such as "You are signed out."
    pub notice: Option<String>,
    /// Why a signed-in user is asked again, such as "Please confirm it is you".
    pub reason: Option<String>,
    /// The address typed before, kept after an error.
    pub email: String,
    /// The same message for every failure, so as not to reveal which addresses exist.
    pub error: Option<String>,
}

/// `GET /login`
pub async fn show(State(app): State<Arc<App>>, info: RequestInfo, uri: Uri, headers: HeaderMap) -> PageResult {
    let mut viewer = Viewer::of(&app, info.now, &headers).await?;
    let params = query(&uri)?;
    let id = params.get("interaction").unwrap_or_default();
    let waiting = waiting(&app, &info, &viewer, id).await?;
    if waiting.is_none() && viewer.user().is_some() {
        return Ok(redirect(&app, "/settings/keys"));
    }
    viewer.ensure_browser();
    // The user is back, has to sign in again, or wants to use another account.
    let again = viewer.user().filter(|_| params.get("switch").is_none());
    let must = |kept: &Interaction| interactions::must_sign_in(info.now, viewer.auth_time(), &kept.request, Some(kept));
    let is_enough = again.is_some() && waiting.as_ref().is_some_and(|kept| !must(kept));
    let form = Form {
        interaction: id,
        email: again.map(|user| user.email.clone()).unwrap_or_default(),
        reason: again.map(|_| "The app requires you to sign in again.".to_owned()),
        is_enough,
        notice: notice(&app, &info, &viewer, params.get("done")).await?,
        error: None,
    };
    let response = page(&app, &viewer, waiting.as_ref(), form).await?;
    Ok(viewer.set_browser(&app, response))
}

/// The reason for signing in, as shown on the page.
async fn notice(app: &App, info: &RequestInfo, viewer: &Viewer, done: Option<&str>) -> Result<Option<String>, Error> {
    let (None, Some(browser)) = (viewer.user(), viewer.browser()) else { return Ok(None) };
    if done == Some("signed-out") {
        return Ok(Some("You are signed out.".to_owned()));
    }
    let message = match app.store.login_reason(info.now, &browser).await? {
        Some(LoginReason::Ended) => "Your session ended. Sign in to continue.",
        Some(LoginReason::Form) => {
            "Your session ended. Sign in to continue. Your changes were not saved; after signing in, please send them again."
        }
        Some(LoginReason::NoSession) | None => return Ok(None),
    };
    Ok(Some(message.to_owned()))
}

/// `POST /login`
pub async fn sign_in(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> PageResult {
    let (headers, body) = read(&app, request).await?;
    let viewer = Viewer::of(&app, info.now, &headers).await?;
    let params = body.params()?;
    viewer.check_form(&app, &headers, &params)?;
    params.refuse_duplicates(&[])?;
    let id = params.get("interaction").unwrap_or_default();
    let waiting = waiting(&app, &info, &viewer, id).await?;
    let email = params.get("email").unwrap_or_default();
    let again =
        |error: String| Form { interaction: id, email: email.to_owned(), error: Some(error), ..Form::default() };
    match verify_password(&app, &info, &viewer, email, params.get("password").unwrap_or_default()).await? {
        PasswordCheck::Correct(user, hash) => {
            let (cookie, new) = new_session(&app, &info, &viewer, &user, hash, session::agent(&headers));
            if !app.store.insert_session(info.now, info.origin(&user.id), new).await? {
                // The user was changed or disabled during the check, so the password is no longer valid.
                return wrong(&app, &viewer, waiting.as_ref(), again(MISMATCH.to_owned())).await;
            }
            let response = match &waiting {
                Some(_) => {
                    app.store.interaction_signed_in(info.now, Digest::of(id)).await?;
                    redirect(&app, &format!("/oauth/authorize?interaction={id}"))
                }
                None => redirect(&app, &back(&app, &info, &viewer).await?),
            };
            Ok(session::begin(&app, response, cookie, &user.email))
        }
        PasswordCheck::Wrong => wrong(&app, &viewer, waiting.as_ref(), again(MISMATCH.to_owned())).await,
        PasswordCheck::Wait(seconds) => {
            let mut response = page(&app, &viewer, waiting.as_ref(), again(too_many(seconds))).await?;
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
    }
}

/// `POST /logout`
pub async fn sign_out(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> PageResult {
    let (headers, body) = read(&app, request).await?;
    let viewer = Viewer::of(&app, info.now, &headers).await?;
    let (Some(user), Some(digest)) = (viewer.user(), viewer.session()) else { return Ok(redirect(&app, "/login")) };
    viewer.check_form(&app, &headers, &body.params()?)?;
    app.store.delete_session(info.now, info.origin(&user.id), digest, user.id.clone()).await?;
    Ok(session::end(&app, redirect(&app, "/login?done=signed-out")))
}

/// The page requested before signing in, else the list of keys.
async fn back(app: &App, info: &RequestInfo, viewer: &Viewer) -> Result<String, Error> {
    let kept = match viewer.browser() {
        Some(browser) => app.store.take_return_path(info.now, browser).await?,
        None => None,
    };
    Ok(kept.map_or_else(|| "/settings/keys".to_owned(), |(path, _)| path))
}

/// The contents of the sign-in form.
#[derive(Default)]
struct Form<'a> {
    interaction: &'a str,
    email: String,
    reason: Option<String>,
    is_enough: bool,
    notice: Option<String>,
    error: Option<String>,
}

async fn waiting(app: &App, info: &RequestInfo, viewer: &Viewer, id: &str) -> Result<Option<Interaction>, Error> {
    if id.is_empty() {
        Ok(None)
    } else {
        interactions::find(&app.store, info.now, viewer.browser(), id).await.map(Some)
    }
}

async fn page(app: &App, viewer: &Viewer, waiting: Option<&Interaction>, form: Form<'_>) -> PageResult {
    let reaching = match waiting {
        Some(waiting) => app.clients.find(&waiting.request.client_id).await?.map(|client| client.name.clone()),
        None => None,
    };
    let page = LoginPage {
        signed_in: viewer
            .user()
            .filter(|_| form.is_enough)
            .map(|user| Badge { name: user.name.clone(), email: user.email.clone() }),
        shell: shell(app, viewer, "Sign in", Nav::None),
        notice: form.notice,
        interaction: form.interaction.to_owned(),
        reaching,
        reason: form.reason,
        email: form.email,
        error: form.error,
    };
    Ok(if waiting.is_some() { render_toward_app(&page) } else { render(&page) })
}

async fn wrong(app: &App, viewer: &Viewer, waiting: Option<&Interaction>, form: Form<'_>) -> PageResult {
    let mut response = page(app, viewer, waiting, form).await?;
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    Ok(response)
}

/// A new session with a fresh cookie value, in place of the previous one; returns the value too.
pub(super) fn new_session(
    app: &App,
    info: &RequestInfo,
    viewer: &Viewer,
    user: &User,
    password: String,
    agent: String,
) -> (String, NewSession) {
    let value = session::new_value();
    let new = NewSession {
        digest: Digest::of(&value),
        user_id: user.id.clone(),
        password,
        expires_at: info.now.plus_seconds(app.config.lifetimes.session_seconds),
        agent,
        replaces: viewer.session(),
    };
    (value, new)
}
