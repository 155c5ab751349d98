//! Owns `/settings/keys`: a user's API keys and the form for a new one.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
};

use super::{
    created::created,
    form::{self, KeyForm, SENT_BEFORE, Submission},
    row::{KeyRow, rows},
};
use crate::{
    app::App,
    http::{
        extract::RequestInfo,
        page::{render, shell},
        signed_in::SignedIn,
    },
    model::project::Project,
    ui::{Flash, Nav, Shell, Tone},
    web::request::{PageResult, query, signed_form},
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
pub async fn list(State(app): State<Arc<App>>, info: RequestInfo, uri: Uri, headers: HeaderMap) -> PageResult {
    let signed_in = SignedIn::of(&app, info.now, &headers).await?;
    let flash = (query(&uri)?.get("done") == Some("revoked"))
        .then(|| Flash { tone: Tone::Good, text: "The key was revoked. It no longer works.".to_owned() });
    let projects = app.store.list_projects(&signed_in.user.id).await?;
    let form = form::blank(&app, &info, &signed_in, &projects);
    page(&app, &info, &signed_in, flash, (form, projects), StatusCode::OK).await
}

/// `POST /settings/keys`
pub async fn create(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let projects = app.store.list_projects(&signed_in.user.id).await?;
    match form::submit(&app, &info, &signed_in, &body.params()?, &projects, None).await? {
        Submission::Made(secret, key) => {
            let project = projects.iter().find(|project| Some(&project.id) == key.project_id.as_ref());
            Ok(created(&app, &signed_in, secret.expose(), &key, project, None))
        }
        Submission::Wrong(form) => {
            page(&app, &info, &signed_in, None, (*form, projects), StatusCode::BAD_REQUEST).await
        }
        Submission::Again => {
            let form = form::blank(&app, &info, &signed_in, &projects);
            let flash = Flash { tone: Tone::Warn, text: SENT_BEFORE.to_owned() };
            page(&app, &info, &signed_in, Some(flash), (form, projects), StatusCode::CONFLICT).await
        }
    }
}

async fn page(
    app: &App,
    info: &RequestInfo,
    signed_in: &SignedIn,
    flash: Option<Flash>,
    (form, projects): (KeyForm, Vec<Project>),
    status: StatusCode,
) -> PageResult {
    let keys = app.store.list_keys(info.now, &signed_in.user.id, None).await?;
    let (active, ended) = rows(info.now, keys, &projects);
    let page = KeysPage { shell: shell(app, &signed_in.viewer, "API keys", Nav::Keys), flash, active, ended, form };
    let mut response = render(&page);
    *response.status_mut() = status;
    Ok(response)
}
