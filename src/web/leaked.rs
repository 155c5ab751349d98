//! Owns `/leaked`: anyone who finds a key can revoke it without signing in. The answer is the same for any input.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};

use super::request::PageResult;
use crate::{
    app::App,
    engine::{limit::Throttle, verify::CREDENTIAL_MAX},
    http::{
        extract::{BodyKind, ParamsBody, RequestInfo},
        page::{render, shell},
        session::Viewer,
    },
    model::error::Error,
    ui::{Nav, Shell},
};

/// `GET /leaked`, and the page after a key was sent: the same for any key.
#[derive(Debug, Template)]
#[template(path = "leaked.html")]
pub struct LeakedPage {
    pub shell: Shell,
    pub is_done: bool,
}

/// `GET /leaked`
pub async fn show(State(app): State<Arc<App>>, viewer: Viewer) -> PageResult {
    Ok(render(&LeakedPage { shell: shell(&app, &viewer, "Revoke a leaked key", Nav::None), is_done: false }))
}

/// `POST /leaked`. No CSRF token: possession of the key is enough to revoke it from anywhere.
pub async fn end(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> PageResult {
    let (headers, body) = ParamsBody::read(request, BodyKind::Form, app.config.limits.body_bytes).await?;
    let params = body.params()?;
    let key = params.get("key").unwrap_or_default().trim();
    if let Some(wait) = app.limiter.hit(info.now, Throttle::LEAKED, &info.network()).await {
        return Err(Error::too_many(wait, "too many attempts from your network; try again later").into());
    }
    if (1..=CREDENTIAL_MAX).contains(&key.len()) && app.verifier.may_be_api_key(key) {
        app.leaks.end(info.now, info.origin("anonymous"), key, None).await?;
    }
    let viewer = Viewer::of(&app, info.now, &headers).await?;
    Ok(render(&LeakedPage { shell: shell(&app, &viewer, "Revoke a leaked key", Nav::None), is_done: true }))
}
