//! Owns `/api/v1/projects`: groups of keys and their policy. Keys are in `api::keys`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    auth::{Authorized, Caller, ProjectsRead, ProjectsWrite, no_such},
    idempotency::Idempotent,
    json::JsonBody,
    page::{Page, Paging, page},
    path::Id,
    query::ListQuery,
};
use crate::{
    app::App,
    engine::projects::{self, NewProject},
    http::{problem::Problem, reply},
    model::{
        error::{Error, ErrorCode},
        key::KeyForm,
        project::{KeyTermsChange, Project as Record},
    },
    store::{self, ProjectChanges},
};

/// A group of one user's keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct Project {
    /// `project_…`
    #[schema(format = "project-id")]
    id: String,
    /// The owner
    #[schema(format = "user-id")]
    user: String,
    /// Name, unique for the owner
    #[schema(format = "name")]
    name: String,
    /// Form of its keys: `prefixed` or `uuid`
    #[schema(format = "new-key-form")]
    key_form: &'static str,
    /// Whether at most one of its keys is active at a time
    one_live_key: bool,
    /// How new keys start, if not with the configured prefix
    #[schema(format = "word")]
    key_prefix: Option<String>,
    /// The environments that new keys can be for, the default first; empty for all
    #[schema(format = "word")]
    environments: Vec<String>,
    /// Seconds until new keys expire if their creator does not say; null for never
    #[schema(minimum = 1, maximum = 315_360_000)]
    key_expires_in: Option<i64>,
    /// The plan whose limits its keys share, if it is not the owner's
    #[schema(format = "name")]
    plan: Option<String>,
    /// Whether its keys are refused
    disabled: bool,
    /// When it was created
    #[schema(format = DateTime)]
    created_at: String,
}

/// A project to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// The owner, by id or email; only an administrator may set it. Default: you
    #[schema(format = "who")]
    user: Option<String>,
    /// Name, unique for the owner
    #[schema(format = "name")]
    name: String,
    /// Form of its keys: `prefixed` or `uuid`. Default: as the profiles of the APIs suggest, else `prefixed`
    #[schema(format = "new-key-form")]
    key_form: Option<String>,
    /// Whether at most one of its keys is active at a time. Default: as the profiles of the APIs suggest, else not
    one_live_key: Option<bool>,
    /// How its keys start, or an empty text for the configured prefix; only an administrator may set it. Default: as the
    /// profiles of the APIs suggest
    #[schema(format = "word-or-nothing")]
    key_prefix: Option<String>,
    /// The environments that its keys can be for, the default first; empty for all. Default: as the profiles suggest
    #[schema(max_items = 20, format = "environment")]
    environments: Option<Vec<String>>,
    /// Seconds until its keys expire if their creator does not say; 0 for never. Default: as the profiles suggest
    #[schema(minimum = 0, maximum = 315_360_000)]
    key_expires_in: Option<i64>,
    /// The plan whose limits its keys share; only an administrator may set it
    #[schema(format = "name")]
    plan: Option<String>,
}

/// Changes to a project; members left out stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeProject {
    /// Name, unique for the owner
    #[schema(format = "name")]
    name: Option<String>,
    /// Form of new keys: `prefixed` or `uuid`
    #[schema(format = "new-key-form")]
    key_form: Option<String>,
    /// Whether at most one key is active at a time, from now on
    one_live_key: Option<bool>,
    /// How new keys start, or an empty text for the configured prefix; only an administrator may set it
    #[schema(format = "word-or-nothing")]
    key_prefix: Option<String>,
    /// The environments that new keys can be for, the default first; empty for all
    #[schema(max_items = 20, format = "environment")]
    environments: Option<Vec<String>>,
    /// Seconds until new keys expire if their creator does not say; 0 for never
    #[schema(minimum = 0, maximum = 315_360_000)]
    key_expires_in: Option<i64>,
    /// The plan whose limits its keys share, or an empty text for the owner's; only an administrator may set it
    #[schema(format = "name-or-nothing")]
    plan: Option<String>,
    /// Whether its keys are refused
    disabled: Option<bool>,
}

/// Filters of the list of projects.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProjectFilter {
    /// Projects of this user, by id or email; for administrators, who otherwise see all projects
    #[param(format = "who")]
    user: Option<String>,
}

impl From<Record> for Project {
    fn from(project: Record) -> Self {
        Self {
            disabled: project.is_disabled(),
            id: project.id,
            user: project.user_id,
            name: project.name,
            key_form: project.key_form.as_str(),
            one_live_key: project.one_live_key,
            key_prefix: project.key_terms.prefix,
            environments: project.key_terms.environments,
            key_expires_in: project.key_terms.expires_in,
            plan: project.plan,
            created_at: project.created_at.rfc3339(),
        }
    }
}

/// List projects
#[utoipa::path(get, path = "/api/v1/projects", tag = "projects", params(ProjectFilter, Paging),
    responses((status = 200, body = Page<Project>)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ProjectsRead>,
    ListQuery { filter, paging }: ListQuery<ProjectFilter>,
) -> Result<Response, Problem> {
    let user = caller.owner_filter(&app, filter.user.as_deref()).await?;
    let only = caller.note_escalation(&app, caller.bounds().choose_project(None))?;
    let read = |after, limit| app.store.projects_after(user.as_deref(), only.as_deref(), after, limit);
    Ok(reply::json(&page(&app, "projects", &paging, read, Project::from).await?))
}

/// Create a project
#[utoipa::path(post, path = "/api/v1/projects", tag = "projects", request_body = CreateProject,
    responses((status = 201, body = Project)))]
pub async fn create(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ProjectsWrite>,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateProject>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let work = async {
        caller.server_only("plan", sent.plan.is_some())?;
        caller.server_only("key_prefix", sent.key_prefix.is_some())?;
        let new = NewProject {
            id: None,
            user_id: caller.owner(&app, sent.user.as_deref()).await?.id,
            name: sent.name,
            key_form: key_form(sent.key_form.as_deref())?,
            one_live_key: sent.one_live_key,
            key_terms: terms(sent.key_prefix, sent.environments, sent.key_expires_in),
            plan: sent.plan,
        };
        let along = |project: &Record| once.created(&Project::from(project.clone()));
        let made = projects::create(app.engine(), caller.act(), &caller.bounds(), new, along).await;
        caller.note_escalation(&app, made.map_err(taken))
    };
    once.run(work).await
}

/// One project
#[utoipa::path(get, path = "/api/v1/projects/{id}", tag = "projects", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = Project)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ProjectsRead>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let project = visible(&app, &caller, &id).await?;
    caller.note_escalation(&app, caller.bounds().reaches_project(Some(&id)))?;
    Ok(reply::json(&Project::from(project)))
}

/// Change a project, disable it or re-enable it
#[utoipa::path(patch, path = "/api/v1/projects/{id}", tag = "projects", params(("id" = String, Path, format = "id")),
    request_body = ChangeProject, responses((status = 200, body = Project)))]
pub async fn update(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ProjectsWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<ChangeProject>,
) -> Result<Response, Problem> {
    caller.server_only("plan", sent.plan.is_some())?;
    caller.server_only("key_prefix", sent.key_prefix.is_some())?;
    visible(&app, &caller, &id).await?;
    let to = ProjectChanges {
        name: sent.name,
        key_form: key_form(sent.key_form.as_deref())?,
        one_live_key: sent.one_live_key,
        key_terms: terms(sent.key_prefix, sent.environments, sent.key_expires_in),
        plan: sent.plan.map(|plan| Some(plan).filter(|plan| !plan.is_empty())),
        disabled: sent.disabled,
        ..ProjectChanges::default()
    };
    let changed = projects::update(app.engine(), caller.act(), &caller.bounds(), &id, to).await;
    let changed = caller.note_escalation(&app, changed.map_err(taken))?.ok_or_else(|| no_such("project"))?;
    Ok(reply::json(&Project::from(changed)))
}

/// Terms as they are sent: nothing, or no seconds, stand for what is configured.
fn terms(prefix: Option<String>, environments: Option<Vec<String>>, seconds: Option<i64>) -> KeyTermsChange {
    KeyTermsChange {
        prefix: prefix.map(|prefix| Some(prefix).filter(|prefix| !prefix.is_empty())),
        environments,
        expires_in: seconds.map(|seconds| Some(seconds).filter(|seconds| *seconds != 0)),
    }
}

async fn visible(app: &App, caller: &Caller, id: &str) -> Result<Record, Problem> {
    let project = app.store.find_project(id).await?.filter(|project| caller.sees(&project.user_id));
    Ok(project.ok_or_else(|| no_such("project"))?)
}

fn key_form(text: Option<&str>) -> Result<Option<KeyForm>, Error> {
    text.map(KeyForm::choose).transpose()
}

fn taken(error: store::Error) -> Error {
    match error {
        store::Error::Conflict => Error::new(ErrorCode::Conflict, "a project with this name already exists"),
        error => error.into(),
    }
}
