//! Owns `/login` and `/logout`, and counts sign-ins. Does not decide the next page: an interaction leads back to
//! `/oauth/authorize`, and otherwise `http::login_redirect` has stored the requested page. No redirect target is ever
//! taken from a request.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::Response,
};

use super::{
    reauth::{check_password, too_many},
    request::{Form, Lapsable, PageFailure, PageResult, query, redirect},
};
use crate::{
    app::App,
    engine::{
        authn::{PasswordCheck, Purpose, Step, next_step},
        interactions,
    },
    http::{
        page::{render, render_toward_app, shell},
        session::{self, Viewer},
    },
    meters::Count,
    model::{authentication::Proof, error::Error, secret::Digest, user::User},
    store::{Interaction, LoginReason},
    ui::{Badge, Nav, Shell},
};

/// The same for an unknown address, a wrong password and a disabled user, so as not to reveal which addresses exist.
const MISMATCH: &str = "The email address or password is wrong.";

/// `GET /login`, and the same page after a failed attempt.
#[derive(Debug, Default, Template)]
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
pub async fn show(State(app): State<Arc<App>>, mut viewer: Viewer, uri: Uri) -> PageResult {
    let params = query(&uri)?;
    let id = params.get("interaction").unwrap_or_default();
    let waiting = waiting(&app, &viewer, id).await?;
    let purpose = waiting.as_ref().map_or(Purpose::Pages, |kept| Purpose::Authorize(&kept.request, Some(kept)));
    let is_enough = matches!(next_step(viewer.now, purpose, viewer.authenticated()), Step::Done(_));
    if waiting.is_none() && is_enough {
        return Ok(redirect(&app, "/settings/keys"));
    }
    viewer.ensure_browser();
    // The user is back, has to sign in again, or wants to use another account.
    let again = viewer.user().filter(|_| params.get("switch").is_none());
    let form = LoginPage {
        interaction: id.to_owned(),
        signed_in: again.filter(|_| is_enough).map(Badge::of),
        email: again.map(|user| user.email.clone()).unwrap_or_default(),
        reason: again.map(|_| "The app requires you to sign in again.".to_owned()),
        notice: notice(&app, &viewer, params.get("done")).await?,
        ..LoginPage::default()
    };
    let response = page(&app, &viewer, waiting.as_ref(), form, StatusCode::OK).await?;
    Ok(viewer.set_browser(&app, response))
}

/// The reason for signing in, as shown on the page.
async fn notice(app: &App, viewer: &Viewer, done: Option<&str>) -> Result<Option<String>, Error> {
    let (None, Some(browser)) = (viewer.user(), viewer.browser()) else { return Ok(None) };
    if done == Some("signed-out") {
        return Ok(Some("You are signed out.".to_owned()));
    }
    let message = match app.store.login_reason(viewer.now, &browser).await? {
        Some(LoginReason::Ended) => "Your session ended. Sign in to continue.",
        Some(LoginReason::Form) => {
            "Your session ended. Sign in to continue. Your changes were not saved; after signing in, please send them again."
        }
        Some(LoginReason::NoSession) | None => return Ok(None),
    };
    Ok(Some(message.to_owned()))
}

/// `POST /login`, counted by outcome. Requests that are not sign-ins, such as a forged form, are not counted.
pub async fn sign_in(State(app): State<Arc<App>>, form: Result<Form<Viewer>, PageFailure>) -> PageResult {
    let answer = match form {
        Ok(form) => attempt(&app, form).await,
        Err(failure) => Err(failure),
    };
    let status = match &answer {
        Ok(response) => response.status(),
        Err(PageFailure::Page(error)) => StatusCode::from_u16(error.code.status()).unwrap_or_default(),
        Err(PageFailure::Elsewhere(_)) => return answer,
    };
    let outcome = match status {
        StatusCode::SEE_OTHER => "success",
        StatusCode::UNAUTHORIZED => "wrong",
        StatusCode::TOO_MANY_REQUESTS => "limited",
        status if status.is_server_error() => "unavailable",
        _ => return answer,
    };
    app.telemetry.sign_ins.with(outcome, Count::one);
    answer
}

async fn attempt(app: &Arc<App>, form: Form<Viewer>) -> PageResult {
    let (id, email) = (form.get("interaction"), form.get("email"));
    let waiting = waiting(app, &form, id).await?;
    let again = async |error: &str, status| {
        let (interaction, email, error) = (id.to_owned(), email.to_owned(), Some(error.to_owned()));
        let input = LoginPage { interaction, email, error, ..LoginPage::default() };
        page(app, &form, waiting.as_ref(), input, status).await
    };
    match check_password(app, &form.info, &form, email, form.get("password")).await? {
        PasswordCheck::Correct(user, proof) => {
            match start_session(app, &form, &user, proof).await? {
                Some(response) => Ok(response),
                // The user was changed or disabled during the check, so the password is no longer valid.
                None => again(MISMATCH, StatusCode::UNAUTHORIZED).await,
            }
        }
        PasswordCheck::Wrong => again(MISMATCH, StatusCode::UNAUTHORIZED).await,
        PasswordCheck::Wait(seconds) => {
            let mut response = again(&too_many(seconds), StatusCode::TOO_MANY_REQUESTS).await?;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
    }
}

/// Starts a session and leads to where the sign-in is for. `None` if the proof no longer holds.
async fn start_session(app: &App, form: &Form<Viewer>, user: &User, proof: Proof) -> Result<Option<Response>, Error> {
    let (session, cookie) = form.new_session(app, user, proof, form.agent.clone());
    if !app.store.insert_session(form.info.now, form.info.origin(&user.id), session).await? {
        return Ok(None);
    }
    let to = match form.get("interaction") {
        "" => return_path(app, form).await?,
        id => {
            app.store.interaction_signed_in(form.info.now, Digest::of(id)).await?;
            format!("/oauth/authorize?interaction={id}")
        }
    };
    Ok(Some(session::begin(app, redirect(app, &to), cookie, &user.email)))
}

/// `POST /logout`
pub async fn sign_out(State(app): State<Arc<App>>, form: Form<Lapsable>) -> PageResult {
    let (Some(user), Some(digest)) = (form.user(), form.session()) else { return Ok(redirect(&app, "/login")) };
    app.store.delete_session(form.info.now, form.info.origin(&user.id), digest, user.id.clone()).await?;
    Ok(session::end(&app, redirect(&app, "/login?done=signed-out")))
}

/// The page requested before signing in, else the list of keys.
async fn return_path(app: &App, viewer: &Viewer) -> Result<String, Error> {
    let kept = match viewer.browser() {
        Some(browser) => app.store.take_return_path(viewer.now, browser).await?,
        None => None,
    };
    Ok(kept.map_or_else(|| "/settings/keys".to_owned(), |(path, _)| path))
}

async fn waiting(app: &App, viewer: &Viewer, id: &str) -> Result<Option<Interaction>, Error> {
    if id.is_empty() {
        Ok(None)
    } else {
        interactions::find(&app.store, viewer.now, viewer.browser(), id).await.map(Some)
    }
}

/// The page with what `form` says.
async fn page(
    app: &App,
    viewer: &Viewer,
    waiting: Option<&Interaction>,
    form: LoginPage,
    status: StatusCode,
) -> PageResult {
    let reaching = match waiting {
        Some(waiting) => app.clients.find(&waiting.request.client_id).await?.map(|client| client.name.clone()),
        None => None,
    };
    let page = LoginPage { shell: shell(app, viewer, "Sign in", Nav::None), reaching, ..form };
    let mut response = if waiting.is_some() { render_toward_app(&page) } else { render(&page) };
    *response.status_mut() = status;
    Ok(response)
}
