//! Owns `/settings/projects/{id}`: one project as shown to its owner: its keys, creating one, its settings, disabling
//! it. A project of another user and one that does not exist look alike.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};

use super::form::{NAME_TAKEN, ProjectForm, key_form as chosen_form, typed};
use crate::{
    app::App,
    engine,
    http::{
        page::{render_as, shell},
        signed_in::SignedIn,
    },
    model::{
        error::Error,
        key::KeyForm as Looks,
        project::{DisabledBy, KeyTerms, Project},
        text,
        user::User,
    },
    store::{self, ProjectChanges},
    ui::{Confirmation, Flash, Nav, Shell, Tone, When, sentence},
    web::{
        feedback, format,
        keys::{
            self,
            form::{KeyForm, Submission},
            row::KeyRows,
        },
        reauth::{Confirmed, Confirming},
        request::{Change, Form, Id, PageResult, done, redirect},
    },
};

/// `GET /settings/projects/{id}`: one project and its keys.
#[derive(Debug, Template)]
#[template(path = "projects/detail.html")]
pub struct ProjectPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub id: String,
    pub name: String,
    pub created: When,
    /// A plan of its own.
    pub plan: Option<String>,
    pub disabled: bool,
    /// Disabled by an administrator, so the owner cannot enable it.
    pub suspended: bool,
    pub one_live_key: bool,
    /// Other properties of new keys, in words.
    pub terms: String,
    pub active: KeyRows,
    pub ended: KeyRows,
    /// The one live key, to regenerate here, if there is exactly one.
    pub regenerate: Option<(String, Confirmation)>,
    /// The form for changing its settings.
    pub settings: Confirmation,
    /// The form for disabling or enabling it.
    pub switch: Confirmation,
    /// The form for another key, if the policy allows one.
    pub new_key: Option<KeyForm>,
    pub form: ProjectForm,
}

/// A part of the page that requires a recent sign-in.
#[derive(PartialEq)]
enum Part {
    Settings,
    Switch,
    /// Its form leads to the page of the key.
    Regenerate,
}

/// The forms of the page that keep what was typed.
enum Typed {
    Key(Box<KeyForm>),
    Settings(ProjectForm),
}

type Feedback = feedback::Feedback<Typed, Part>;

/// `GET /settings/projects/{id}`
pub async fn show(State(app): State<Arc<App>>, Id(id): Id, signed_in: SignedIn, uri: Uri) -> PageResult {
    let project = owned(&app, &signed_in.user, &id).await?;
    let texts = [
        ("made", "The project was created. Generate its first key."),
        ("saved", "Saved."),
        ("disabled", "The project is disabled. Its keys do not work."),
        ("enabled", "The project is enabled. Its keys work again."),
    ];
    page(&app, &signed_in, project, Feedback::good(done(&uri, &texts)?)).await
}

/// `POST /settings/projects/{id}/keys`
pub async fn create_key(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    let project = owned(&app, &form.user, &id).await?;
    let feedback = match keys::form::submit(&app, &form, &[], Some(&project)).await? {
        Submission::Made(secret, key) => {
            return Ok(keys::created::created(&app, &form, secret.expose(), &key, Some(&project), None));
        }
        Submission::Wrong(input) => {
            // Errors about the project have no field on this page, so they are shown at its top.
            let flash = input.project_error.clone().map(|text| Flash::of(Tone::Bad, text));
            Feedback { flash, ..Feedback::wrong(Typed::Key(input)) }
        }
        Submission::Again => Feedback::refused(Flash::of(Tone::Warn, keys::form::SENT_BEFORE), StatusCode::CONFLICT),
    };
    page(&app, &form, project, feedback).await
}

/// `POST /settings/projects/{id}`
pub async fn update(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    let project = owned(&app, &form.user, &id).await?;
    let mut input = typed(&form.params);
    let key_form = chosen_form(&form.params)?;
    let (wrong, status) = match text::name("a name", &input.name) {
        Err(error) => (sentence(&error.description), StatusCode::BAD_REQUEST),
        Ok(name) => {
            let Change { store, act, by } = match form.confirm(&app).await? {
                Confirmed::Yes(change) => change,
                Confirmed::No(why) => {
                    let feedback = Feedback::password(Part::Settings, why);
                    let feedback = Feedback { typed: Some(Typed::Settings(input)), ..feedback };
                    return page(&app, &form, project, feedback).await;
                }
            };
            let changes = ProjectChanges {
                name: Some(name),
                key_form: Some(key_form),
                one_live_key: Some(input.one_live_key),
                ..ProjectChanges::default()
            };
            match engine::projects::update(app.engine_on(&store), act, &by, &id, changes).await {
                Ok(Some(_)) => return Ok(redirect(&app, &format!("/settings/projects/{id}?done=saved"))),
                Ok(None) => return Err(Error::not_found().into()),
                Err(store::Error::Conflict) => (NAME_TAKEN.to_owned(), StatusCode::CONFLICT),
                Err(error) => return Err(error.into()),
            }
        }
    };
    input.name_error = Some(wrong);
    page(&app, &form, project, Feedback { status, ..Feedback::wrong(Typed::Settings(input)) }).await
}

/// `POST /settings/projects/{id}/disable`
pub async fn disable(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    set_disabled(&app, id, &form, true).await
}

/// `POST /settings/projects/{id}/enable`
pub async fn enable(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    set_disabled(&app, id, &form, false).await
}

async fn set_disabled(app: &Arc<App>, id: String, form: &Form<Confirming>, disabled: bool) -> PageResult {
    let project = owned(app, &form.user, &id).await?;
    let Change { store, act, by } = match form.confirm(app).await? {
        Confirmed::Yes(change) => change,
        Confirmed::No(why) => return page(app, form, project, Feedback::password(Part::Switch, why)).await,
    };
    let changes = ProjectChanges { disabled: Some(disabled), ..ProjectChanges::default() };
    engine::projects::update(app.engine_on(&store), act, &by, &id, changes).await?.ok_or_else(Error::not_found)?;
    Ok(redirect(app, &format!("/settings/projects/{id}?done={}", if disabled { "disabled" } else { "enabled" })))
}

async fn page(app: &App, signed_in: &SignedIn, project: Project, feedback: Feedback) -> PageResult {
    let now = signed_in.viewer.now;
    let keys = app.store.list_keys(now, &signed_in.user.id, Some(&project.id)).await?;
    let (mut active, mut ended) = keys::row::rows(now, keys, std::slice::from_ref(&project), 0);
    // All keys on this page belong to the project.
    active.rows.iter_mut().chain(&mut ended.rows).for_each(|row| row.project = None);
    let [settings, switch, regenerate] =
        feedback.confirmations(app, signed_in, [Part::Settings, Part::Switch, Part::Regenerate]);
    let regenerate = match active.rows.as_slice() {
        [key] => Some((key.id.clone(), regenerate)),
        _ => None,
    };
    let (key, form) = match feedback.typed {
        Some(Typed::Key(input)) => (Some(*input), None),
        Some(Typed::Settings(input)) => (None, Some(input)),
        None => (None, None),
    };
    let may_make = !project.is_disabled() && (!project.one_live_key || active.count == 0);
    let new_key = may_make.then(|| key.unwrap_or_else(|| keys::form::blank(app, signed_in, &[], Some(&project))));
    let page = ProjectPage {
        shell: shell(app, &signed_in.viewer, &project.name, Nav::Projects),
        flash: feedback.flash,
        created: format::day(project.created_at),
        disabled: project.is_disabled(),
        suspended: project.disabled_by == Some(DisabledBy::Administrator) && !signed_in.user.admin,
        one_live_key: project.one_live_key,
        terms: terms(&project.key_terms),
        active,
        ended,
        regenerate,
        settings,
        switch,
        new_key,
        form: form.unwrap_or_else(|| ProjectForm {
            name: project.name.clone(),
            is_uuid: project.key_form == Looks::Uuid,
            one_live_key: project.one_live_key,
            ..ProjectForm::default()
        }),
        id: project.id,
        name: project.name,
        plan: project.plan,
    };
    Ok(render_as(feedback.status, &page))
}

/// The properties of new keys in words; empty if they are the usual ones.
fn terms(terms: &KeyTerms) -> String {
    let KeyTerms { prefix, environments, expires_in } = terms;
    let parts = [
        prefix.as_ref().map(|prefix| format!("start with {prefix}_")),
        (!environments.is_empty()).then(|| format!("are for {}", environments.join(", "))),
        expires_in.map(|seconds| format!("expire after {} unless you choose another time", format::span(seconds))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("New keys {}.", parts.join("; they ")) }
}

/// The project with this id, if it belongs to this user.
async fn owned(app: &App, user: &User, id: &str) -> Result<Project, Error> {
    let project = app.store.find_project(id).await?;
    project.filter(|project| project.user_id == user.id).ok_or_else(Error::not_found)
}
