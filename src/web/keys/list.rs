//! Owns `/settings/keys`: a user's API keys in pages, all or those of one project, and the form for a new one.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};

use super::{
    created::created,
    form::{self, KeyForm, SENT_BEFORE, Submission},
    row::{KeyRows, rows},
};
use crate::{
    app::App,
    http::{
        page::{render_as, shell},
        signed_in::SignedIn,
    },
    model::{error::Error, project::Project},
    ui::{Flash, Nav, Shell, Tone},
    web::{
        reauth::Confirming,
        request::{Form, PageResult, done, query},
    },
};

/// `GET /settings/keys`: the user's keys, and the form for a new one.
#[derive(Debug, Template)]
#[template(path = "keys/list.html")]
pub struct KeysPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    /// The project whose keys are listed; `None` lists all.
    pub project: Option<Project>,
    pub active: KeyRows,
    /// Revoked and expired keys, still listed because they may explain why a script stopped working.
    pub ended: KeyRows,
    pub form: KeyForm,
}

/// The part of the list that is shown.
#[derive(Default)]
struct Part {
    /// The id of a project.
    project: Option<String>,
    /// The number of active keys before the page.
    from: usize,
}

impl Part {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let params = query(uri)?;
        let from = params.get("from").map_or(Ok(0), str::parse);
        let from = from.map_err(|_| Error::invalid_request("invalid list position"))?;
        Ok(Self { project: params.get("project").map(ToOwned::to_owned), from })
    }
}

/// `GET /settings/keys`, with `from` from the second page on, and with `project` for the keys of one project.
pub async fn list(State(app): State<Arc<App>>, signed_in: SignedIn, uri: Uri) -> PageResult {
    let flash = done(&uri, &[("revoked", "The key was revoked. It no longer works.")])?;
    let projects = app.store.list_projects(&signed_in.user.id).await?;
    let form = form::blank(&app, &signed_in, &projects, None);
    page(&app, &signed_in, flash, (form, projects), StatusCode::OK, Part::of(&uri)?).await
}

/// `POST /settings/keys`
pub async fn create(State(app): State<Arc<App>>, form: Form<Confirming>) -> PageResult {
    let projects = app.store.list_projects(&form.user.id).await?;
    match form::submit(&app, &form, &projects, None).await? {
        Submission::Made(secret, key) => {
            let project = projects.iter().find(|project| Some(&project.id) == key.project_id.as_ref());
            Ok(created(&app, &form, secret.expose(), &key, project, None))
        }
        Submission::Wrong(input) => {
            page(&app, &form, None, (*input, projects), StatusCode::BAD_REQUEST, Part::default()).await
        }
        Submission::Again => {
            let (flash, blank) = (Flash::of(Tone::Warn, SENT_BEFORE), form::blank(&app, &form, &projects, None));
            page(&app, &form, Some(flash), (blank, projects), StatusCode::CONFLICT, Part::default()).await
        }
    }
}

async fn page(
    app: &App,
    signed_in: &SignedIn,
    flash: Option<Flash>,
    (form, projects): (KeyForm, Vec<Project>),
    status: StatusCode,
    part: Part,
) -> PageResult {
    let now = signed_in.viewer.now;
    let project = match &part.project {
        Some(id) => Some(projects.iter().find(|project| project.id == *id).cloned().ok_or_else(Error::not_found)?),
        None => None,
    };
    let keys = app.store.list_keys(now, &signed_in.user.id, part.project.as_deref()).await?;
    let (active, ended) = rows(now, keys, &projects, part.from);
    let shell = shell(app, &signed_in.viewer, "API keys", Nav::Keys);
    let page = KeysPage { shell, flash, project, active, ended, form };
    Ok(render_as(status, &page))
}
