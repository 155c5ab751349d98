//! Owns `/settings/keys`: a user's API keys and the form for a new one.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};

use super::{
    created::created,
    form::{self, KeyForm, SENT_BEFORE, Submission},
    row::{KeyRow, rows},
};
use crate::{
    app::App,
    http::{
        page::{render_as, shell},
        signed_in::SignedIn,
    },
    model::project::Project,
    ui::{Flash, Nav, Shell, Tone},
    web::{
        reauth::Confirming,
        request::{Form, PageResult, done},
    },
};

/// `GET /settings/keys`: the user's keys, and the form for a new one.
#[derive(Debug, Template)]
#[template(path = "keys/list.html")]
pub struct KeysPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub active: Vec<KeyRow>,
    /// Revoked and expired keys, still listed because they may explain why a script stopped working.
    pub ended: Vec<KeyRow>,
    pub form: KeyForm,
}

/// `GET /settings/keys`
pub async fn list(State(app): State<Arc<App>>, signed_in: SignedIn, uri: Uri) -> PageResult {
    let flash = done(&uri, &[("revoked", "The key was revoked. It no longer works.")])?;
    let projects = app.store.list_projects(&signed_in.user.id).await?;
    let form = form::blank(&app, &signed_in, &projects);
    page(&app, &signed_in, flash, (form, projects), StatusCode::OK).await
}

/// `POST /settings/keys`
pub async fn create(State(app): State<Arc<App>>, form: Form<Confirming>) -> PageResult {
    let projects = app.store.list_projects(&form.user.id).await?;
    match form::submit(&app, &form, &projects, None).await? {
        Submission::Made(secret, key) => {
            let project = projects.iter().find(|project| Some(&project.id) == key.project_id.as_ref());
            Ok(created(&app, &form, secret.expose(), &key, project, None))
        }
        Submission::Wrong(input) => page(&app, &form, None, (*input, projects), StatusCode::BAD_REQUEST).await,
        Submission::Again => {
            let (flash, blank) = (Flash::of(Tone::Warn, SENT_BEFORE), form::blank(&app, &form, &projects));
            page(&app, &form, Some(flash), (blank, projects), StatusCode::CONFLICT).await
        }
    }
}

async fn page(
    app: &App,
    signed_in: &SignedIn,
    flash: Option<Flash>,
    (form, projects): (KeyForm, Vec<Project>),
    status: StatusCode,
) -> PageResult {
    let now = signed_in.viewer.now;
    let keys = app.store.list_keys(now, &signed_in.user.id, None).await?;
    let (active, ended) = rows(now, keys, &projects);
    let page = KeysPage { shell: shell(app, &signed_in.viewer, "API keys", Nav::Keys), flash, active, ended, form };
    Ok(render_as(status, &page))
}
