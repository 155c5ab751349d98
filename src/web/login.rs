//! Owns `/login` and `/logout`. Does not decide what follows: an interaction leads back to `/oauth/authorize`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
};

use super::{
    kit::{Answer, go, query, read},
    proof::{Proof, prove, too_many},
};
use crate::{
    app::App,
    http::{
        extract::RequestInfo,
        interaction,
        page::{render, render_toward_app, shell},
        session::{self, Viewer},
    },
    model::{error::Error, secret::Digest, user::User},
    store::{Interaction, NewSession},
    view::{LoginPage, Nav},
};

/// Longest browser's own words kept, in characters.
const AGENT_MAX: usize = 200;
/// The same for an unknown address, a wrong password and a disabled user: nobody learns which addresses exist.
const MISMATCH: &str = "That email and password do not match.";

/// `GET /login`
pub async fn show(State(app): State<Arc<App>>, info: RequestInfo, uri: Uri, headers: HeaderMap) -> Answer {
    let mut viewer = Viewer::of(&app, info.now, &headers).await?;
    let params = query(&uri)?;
    let id = params.get("interaction").unwrap_or_default();
    let waiting = waiting(&app, &info, &viewer, id).await?;
    if waiting.is_none() && viewer.user().is_some() {
        return Ok(go(&app, "/settings/keys"));
    }
    viewer.ensure_browser();
    // Somebody who is signed in is here to prove it again, or to become somebody else.
    let again = viewer.user().filter(|_| params.get("switch").is_none());
    let form = Form {
        interaction: id,
        email: again.map(|user| user.email.clone()).unwrap_or_default(),
        reason: again.map(|_| "The app asks you to sign in again.".to_owned()),
        error: None,
    };
    let response = page(&app, &viewer, waiting.as_ref(), form).await?;
    Ok(viewer.set_browser(&app, response))
}

/// `POST /login`
pub async fn sign_in(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Answer {
    let (headers, body) = read(&app, request).await?;
    let viewer = Viewer::of(&app, info.now, &headers).await?;
    let params = body.params()?;
    viewer.check_form(&app, &headers, &params)?;
    params.refuse_duplicates(&[])?;
    let id = params.get("interaction").unwrap_or_default();
    let waiting = waiting(&app, &info, &viewer, id).await?;
    let email = params.get("email").unwrap_or_default();
    let again = |error: String| Form { interaction: id, email: email.to_owned(), reason: None, error: Some(error) };
    match prove(&app, &info, &viewer, email, params.get("password").unwrap_or_default()).await? {
        Proof::Proven(user, hash) => {
            let Some(cookie) = begin(&app, &info, &headers, &viewer, &user, hash).await? else {
                // Changed or disabled while it was checked: what was right is wrong by now.
                return wrong(&app, &viewer, waiting.as_ref(), again(MISMATCH.to_owned())).await;
            };
            let response = match &waiting {
                Some(_) => {
                    app.store.interaction_signed_in(info.now, Digest::of(id)).await?;
                    go(&app, &format!("/oauth/authorize?interaction={id}"))
                }
                None => go(&app, "/settings/keys"),
            };
            Ok(session::begin(&app, response, cookie, &user.email))
        }
        Proof::Wrong => wrong(&app, &viewer, waiting.as_ref(), again(MISMATCH.to_owned())).await,
        Proof::Wait(seconds) => {
            let mut response = page(&app, &viewer, waiting.as_ref(), again(too_many(seconds))).await?;
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
    }
}

/// `POST /logout`
pub async fn sign_out(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Answer {
    let (headers, body) = read(&app, request).await?;
    let viewer = Viewer::of(&app, info.now, &headers).await?;
    let (Some(user), Some(digest)) = (viewer.user(), viewer.session()) else { return Ok(go(&app, "/login")) };
    viewer.check_form(&app, &headers, &body.params()?)?;
    app.store.delete_session(info.now, info.origin(&user.id), digest, user.id.clone()).await?;
    Ok(session::end(&app, go(&app, "/login")))
}

/// What the sign-in form shows.
struct Form<'a> {
    interaction: &'a str,
    email: String,
    reason: Option<String>,
    error: Option<String>,
}

async fn waiting(app: &App, info: &RequestInfo, viewer: &Viewer, id: &str) -> Result<Option<Interaction>, Error> {
    if id.is_empty() { Ok(None) } else { interaction::find(app, info.now, viewer, id).await.map(Some) }
}

async fn page(app: &App, viewer: &Viewer, waiting: Option<&Interaction>, form: Form<'_>) -> Answer {
    let reaching = match waiting {
        Some(waiting) => app.clients.find(&waiting.request.client_id).await?.map(|client| client.name.clone()),
        None => None,
    };
    let page = LoginPage {
        shell: shell(app, viewer, "Sign in", Nav::None),
        interaction: form.interaction.to_owned(),
        reaching,
        reason: form.reason,
        email: form.email,
        error: form.error,
    };
    Ok(if waiting.is_some() { render_toward_app(&page) } else { render(&page) })
}

async fn wrong(app: &App, viewer: &Viewer, waiting: Option<&Interaction>, form: Form<'_>) -> Answer {
    let mut response = page(app, viewer, waiting, form).await?;
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    Ok(response)
}

/// Begins a session under a value that no browser has seen before, ending the one before it. Nothing if the password that
/// was checked is not the user's any more.
async fn begin(
    app: &App,
    info: &RequestInfo,
    headers: &HeaderMap,
    viewer: &Viewer,
    user: &User,
    password: String,
) -> Result<Option<String>, Error> {
    let value = session::new_value();
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let new = NewSession {
        digest: Digest::of(&value),
        user_id: user.id.clone(),
        password,
        expires_at: info.now.plus_seconds(app.config.lifetimes.session_seconds),
        agent: agent.chars().take(AGENT_MAX).collect(),
        replaces: viewer.session(),
    };
    let begun = app.store.insert_session(info.now, info.origin(&user.id), new).await?;
    Ok(begun.then_some(value))
}
