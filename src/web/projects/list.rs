//! Owns `/settings/projects`: a user's projects, and creating one.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{extract::State, http::StatusCode};

use super::form::{NAME_TAKEN, ProjectForm, key_form, typed};
use crate::{
    app::App,
    engine::{self, alone, projects::NewProject},
    http::{
        page::{render_as, shell},
        signed_in::SignedIn,
    },
    model::{
        clock::Timestamp,
        key::KeyForm,
        project::{KeyTermsChange, Project},
        text,
    },
    store::{self, ProjectKeys},
    ui::{Flash, Nav, Shell, Tone, When, sentence},
    web::{
        format,
        request::{Change, Form, PageResult, redirect},
    },
};

/// `GET /settings/projects`: the user's projects, and the form for a new one.
#[derive(Debug, Template)]
#[template(path = "projects/list.html")]
pub struct ProjectsPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub projects: Vec<ProjectRow>,
    pub form: ProjectForm,
}

/// One project in the list.
#[derive(Debug, Clone)]
pub struct ProjectRow {
    pub id: String,
    pub name: String,
    /// Such as `2 active keys`.
    pub keys: String,
    pub last_used: Option<When>,
    pub one_live_key: bool,
    pub is_uuid: bool,
    pub disabled: bool,
}

/// `GET /settings/projects`
pub async fn list(State(app): State<Arc<App>>, signed_in: SignedIn) -> PageResult {
    let suggested = app.catalog.current().suggested_keys();
    let form = ProjectForm {
        form: signed_in.viewer.form_id(&app),
        is_uuid: suggested.form == KeyForm::Uuid,
        one_live_key: suggested.one_live_key,
        ..ProjectForm::default()
    };
    page(&app, &signed_in, None, form, StatusCode::OK).await
}

/// `POST /settings/projects`
pub async fn create(State(app): State<Arc<App>>, form: Form<SignedIn>) -> PageResult {
    let mut input = typed(&form.params);
    let id = format!("project_{}", form.viewer.read_form_id(&app, &input.form)?);
    let key_form = key_form(&form.params)?;
    let name = match text::name("a name", &input.name) {
        Ok(name) => name,
        Err(error) => {
            input.name_error = Some(sentence(&error.description));
            return page(&app, &form, None, input, StatusCode::BAD_REQUEST).await;
        }
    };
    let Change { store, act, by } = form.change(&app);
    let (user_id, key_form, one_live_key) = (form.user.id.clone(), Some(key_form), Some(input.one_live_key));
    let key_terms = KeyTermsChange::default();
    let new = NewProject { id: Some(id.clone()), user_id, name, key_form, one_live_key, key_terms, plan: None };
    match engine::projects::create(app.engine_on(&store), act, &by, new, alone).await {
        Ok(_) => Ok(redirect(&app, &format!("/settings/projects/{id}?done=made"))),
        Err(store::Error::Conflict) => {
            // The id comes from the form: sent twice, it leads to the one project it created.
            if app.store.find_project(&id).await?.is_some_and(|made| made.user_id == form.user.id) {
                return Ok(redirect(&app, &format!("/settings/projects/{id}")));
            }
            input.name_error = Some(NAME_TAKEN.to_owned());
            page(&app, &form, None, input, StatusCode::CONFLICT).await
        }
        Err(store::Error::Refused(error)) => {
            let flash = Flash::of(Tone::Bad, sentence(&error.description));
            page(&app, &form, Some(flash), input, StatusCode::CONFLICT).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn page(
    app: &App,
    signed_in: &SignedIn,
    flash: Option<Flash>,
    form: ProjectForm,
    status: StatusCode,
) -> PageResult {
    let now = signed_in.viewer.now;
    let projects = app.store.list_projects(&signed_in.user.id).await?;
    let keys = app.store.count_project_keys(now, &signed_in.user.id).await?;
    let page = ProjectsPage {
        shell: shell(app, &signed_in.viewer, "Projects", Nav::Projects),
        flash,
        projects: rows(now, projects, &keys),
        form,
    };
    Ok(render_as(status, &page))
}

fn rows(now: Timestamp, projects: Vec<Project>, keys: &HashMap<String, ProjectKeys>) -> Vec<ProjectRow> {
    let of = |project: &Project| keys.get(&project.id).copied().unwrap_or_default();
    let row = |project: Project| ProjectRow {
        keys: match of(&project).live {
            0 => "no active key".to_owned(),
            1 => "1 active key".to_owned(),
            count => format!("{count} active keys"),
        },
        last_used: of(&project).last_used_at.map(|at| format::ago(now, at)),
        one_live_key: project.one_live_key,
        is_uuid: project.key_form == KeyForm::Uuid,
        disabled: project.is_disabled(),
        id: project.id,
        name: project.name,
    };
    projects.into_iter().map(row).collect()
}
