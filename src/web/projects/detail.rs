//! Owns `/settings/projects/{id}`: one project as shown to its owner: its keys, creating one, its settings, disabling
//! it. A project of another user and one that does not exist look alike.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
};

use super::form::{NAME_TAKEN, ProjectForm, key_form as chosen_form, typed};
use crate::{
    app::App,
    engine::{self, attenuation::Attenuation},
    http::{
        extract::RequestInfo,
        page::{render, shell},
        signed_in::SignedIn,
    },
    model::{
        error::Error,
        key::KeyForm as Looks,
        project::{DisabledBy, Project},
        text,
        user::User,
    },
    store::{self, ProjectChanges},
    ui::{Flash, Nav, Shell, Step, Tone, When, monogram, sentence},
    web::{
        format,
        keys::{
            self,
            form::{KeyForm, Submission},
            row::KeyRow,
        },
        reauth,
        request::{Id, PageResult, query, redirect, signed_form},
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
    pub active: Vec<KeyRow>,
    pub ended: Vec<KeyRow>,
    /// The one live key, to regenerate here, if there is exactly one.
    pub regenerate: Option<(String, Step)>,
    /// The form for changing its settings.
    pub settings: Step,
    /// The form for disabling or enabling it.
    pub switch: Step,
    /// The form for another key, if the policy allows one.
    pub new_key: Option<KeyForm>,
    pub form: ProjectForm,
}

impl ProjectPage {
    #[must_use]
    pub fn monogram(&self) -> String {
        monogram(&self.name)
    }
}

/// Messages of a previous step, shown on this page.
#[derive(Default)]
struct Feedback {
    flash: Option<Flash>,
    key: Option<KeyForm>,
    form: Option<ProjectForm>,
    settings_password_error: Option<String>,
    switch_password_error: Option<String>,
    status: StatusCode,
}

/// `GET /settings/projects/{id}`
pub async fn show(
    State(app): State<Arc<App>>,
    info: RequestInfo,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
) -> PageResult {
    let signed_in = SignedIn::of(&app, info.now, &headers).await?;
    let project = owned(&app, &signed_in.user, &id).await?;
    let text = match query(&uri)?.get("done") {
        Some("made") => Some("The project was created. Generate its first key."),
        Some("saved") => Some("Saved."),
        Some("disabled") => Some("The project is disabled. Its keys do not work."),
        Some("enabled") => Some("The project is enabled. Its keys work again."),
        _ => None,
    };
    let flash = text.map(|text| Flash { tone: Tone::Good, text: text.to_owned() });
    page(&app, &info, &signed_in, project, Feedback { flash, ..Feedback::default() }).await
}

/// `POST /settings/projects/{id}/keys`
pub async fn create_key(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let project = owned(&app, &signed_in.user, &id).await?;
    match keys::form::submit(&app, &info, &signed_in, &body.params()?, &[], Some(&project)).await? {
        Submission::Made(secret, key) => {
            Ok(keys::created::created(&app, &signed_in, secret.expose(), &key, Some(&project), None))
        }
        Submission::Wrong(form) => {
            // Errors about the project have no field on this page, so they are shown at its top.
            let flash = form.project_error.clone().map(|text| Flash { tone: Tone::Bad, text });
            let feedback = Feedback { flash, key: Some(*form), status: StatusCode::BAD_REQUEST, ..Feedback::default() };
            page(&app, &info, &signed_in, project, feedback).await
        }
        Submission::Again => {
            let flash = Some(Flash { tone: Tone::Warn, text: keys::form::SENT_BEFORE.to_owned() });
            let feedback = Feedback { flash, status: StatusCode::CONFLICT, ..Feedback::default() };
            page(&app, &info, &signed_in, project, feedback).await
        }
    }
}

/// `POST /settings/projects/{id}`
pub async fn update(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let project = owned(&app, &signed_in.user, &id).await?;
    let params = body.params()?;
    params.refuse_duplicates(&[])?;
    let mut form = typed(&params);
    let key_form = chosen_form(&params)?;
    let (wrong, status) = match text::name("a name", &form.name) {
        Err(error) => (sentence(&error.description), StatusCode::BAD_REQUEST),
        Ok(name) => {
            let password = params.get("password");
            if let Err(why) =
                reauth::require_recent_login(&app, &info, &signed_in.viewer, &signed_in.user, password).await?
            {
                let feedback = Feedback {
                    form: Some(form),
                    settings_password_error: Some(why),
                    status: StatusCode::BAD_REQUEST,
                    ..Feedback::default()
                };
                return page(&app, &info, &signed_in, project, feedback).await;
            }
            let changes = ProjectChanges {
                name: Some(name),
                key_form: Some(key_form),
                one_live_key: Some(form.one_live_key),
                ..ProjectChanges::default()
            };
            let store = signed_in.store(&app);
            let (act, by) = (info.act(&signed_in.user.id), Attenuation::signed_in(&signed_in.user));
            match engine::projects::update(app.engine_on(&store), act, &by, &id, changes).await {
                Ok(Some(_)) => return Ok(redirect(&app, &format!("/settings/projects/{id}?done=saved"))),
                Ok(None) => return Err(Error::not_found().into()),
                Err(store::Error::Conflict) => (NAME_TAKEN.to_owned(), StatusCode::CONFLICT),
                Err(error) => return Err(error.into()),
            }
        }
    };
    form.name_error = Some(wrong);
    page(&app, &info, &signed_in, project, Feedback { form: Some(form), status, ..Feedback::default() }).await
}

/// `POST /settings/projects/{id}/disable`
pub async fn disable(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    set_disabled(&app, &info, id, request, true).await
}

/// `POST /settings/projects/{id}/enable`
pub async fn enable(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    set_disabled(&app, &info, id, request, false).await
}

async fn set_disabled(app: &Arc<App>, info: &RequestInfo, id: String, request: Request, disabled: bool) -> PageResult {
    let (signed_in, body) = signed_form(app, info, request).await?;
    let project = owned(app, &signed_in.user, &id).await?;
    let params = body.params()?;
    params.refuse_duplicates(&[])?;
    let password = params.get("password");
    if let Err(why) = reauth::require_recent_login(app, info, &signed_in.viewer, &signed_in.user, password).await? {
        let feedback =
            Feedback { switch_password_error: Some(why), status: StatusCode::BAD_REQUEST, ..Feedback::default() };
        return page(app, info, &signed_in, project, feedback).await;
    }
    let store = signed_in.store(app);
    let (act, by) = (info.act(&signed_in.user.id), Attenuation::signed_in(&signed_in.user));
    let changes = ProjectChanges { disabled: Some(disabled), ..ProjectChanges::default() };
    engine::projects::update(app.engine_on(&store), act, &by, &id, changes).await?.ok_or_else(Error::not_found)?;
    Ok(redirect(app, &format!("/settings/projects/{id}?done={}", if disabled { "disabled" } else { "enabled" })))
}

async fn page(app: &App, info: &RequestInfo, signed_in: &SignedIn, project: Project, feedback: Feedback) -> PageResult {
    let keys = app.store.list_keys(info.now, &signed_in.user.id, Some(&project.id)).await?;
    let (mut active, mut ended) = keys::row::rows(info.now, keys, std::slice::from_ref(&project));
    // All keys on this page belong to the project.
    active.iter_mut().chain(&mut ended).for_each(|row| row.project = None);
    let regenerate = match active.as_slice() {
        [key] => Some((key.id.clone(), reauth::step(app, info.now, &signed_in.viewer, None))),
        _ => None,
    };
    let may_make = !project.is_disabled() && (!project.one_live_key || active.is_empty());
    let new_key = may_make.then(|| feedback.key.unwrap_or_else(|| keys::form::blank(app, info, signed_in, &[])));
    let page = ProjectPage {
        shell: shell(app, &signed_in.viewer, &project.name, Nav::Projects),
        flash: feedback.flash,
        created: format::day(project.created_at),
        disabled: project.is_disabled(),
        suspended: project.disabled_by == Some(DisabledBy::Administrator) && !signed_in.user.admin,
        one_live_key: project.one_live_key,
        active,
        ended,
        regenerate,
        settings: reauth::step(app, info.now, &signed_in.viewer, feedback.settings_password_error),
        switch: reauth::step(app, info.now, &signed_in.viewer, feedback.switch_password_error),
        new_key,
        form: feedback.form.unwrap_or_else(|| ProjectForm {
            name: project.name.clone(),
            is_uuid: project.key_form == Looks::Uuid,
            one_live_key: project.one_live_key,
            ..ProjectForm::default()
        }),
        id: project.id,
        name: project.name,
        plan: project.plan,
    };
    let mut response = render(&page);
    *response.status_mut() = feedback.status;
    Ok(response)
}

/// The project with this id, if it belongs to this user.
async fn owned(app: &App, user: &User, id: &str) -> Result<Project, Error> {
    let project = app.store.find_project(id).await?;
    project.filter(|project| project.user_id == user.id).ok_or_else(Error::not_found)
}
