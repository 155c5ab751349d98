//! Owns the form for a new key, on the list and on the page of a project: its choices, its input, the key it creates.

use std::sync::Arc;

use crate::{
    app::App,
    engine::{
        alone,
        apikey::NewKey,
        attenuation::Attenuation,
        keys::{self, Created},
    },
    http::{extract::RequestInfo, signed_in::SignedIn},
    model::{
        error::Error, key::ApiKey, network::Networks, params::Params, project::Project, secret::Secret, span, text,
    },
    store,
    ui::{Choice, ScopeGroup, sentence},
    web::{format, reauth, request::PageFailure},
};

/// The message for a form that is sent again.
pub(in crate::web) const SENT_BEFORE: &str =
    "This form was already sent, and its key is in the list. A key is shown only once.";

/// The choices for a key's expiry.
const EXPIRIES: [(&str, &str); 4] =
    [("never", "Never"), ("30d", "In 30 days"), ("90d", "In 90 days"), ("365d", "In 1 year")];

/// The form for a new key, with the user's input when it is shown again with errors.
#[derive(Debug, Clone, Default)]
pub struct KeyForm {
    /// One-time id, so that a double click creates only one key.
    pub form: String,
    pub name: String,
    pub name_error: Option<String>,
    pub scopes: Vec<ScopeGroup>,
    pub scope_error: Option<String>,
    /// The projects to choose from; empty if there are none, or on the page of a project.
    pub projects: Vec<Choice>,
    pub project_error: Option<String>,
    pub environments: Vec<Choice>,
    pub expiries: Vec<Choice>,
    /// CIDR notation, one network per line.
    pub networks: String,
    pub networks_error: Option<String>,
    /// Whether the sign-in is not recent, so that the password is required again.
    pub ask_password: bool,
    pub password_error: Option<String>,
}

impl KeyForm {
    #[must_use]
    pub fn has_errors(&self) -> bool {
        let errors =
            [&self.name_error, &self.scope_error, &self.project_error, &self.networks_error, &self.password_error];
        errors.into_iter().any(Option::is_some)
    }
}

/// The result of sending a form.
pub(in crate::web) enum Submission {
    /// A key, with its text to show once.
    Made(Secret, Box<ApiKey>),
    /// The form with its errors, each beside its field.
    Wrong(Box<KeyForm>),
    /// It was sent before, and that response had the key.
    Again,
}

/// The form as first shown. No scope is checked: the choice is the owner's.
pub(in crate::web) fn blank(app: &App, info: &RequestInfo, signed_in: &SignedIn, projects: &[Project]) -> KeyForm {
    KeyForm {
        form: signed_in.viewer.form_id(app),
        scopes: format::groups(&app.catalog.current(), |_| false),
        projects: project_choices(projects, ""),
        environments: environments(app, None),
        expiries: format::choices(&EXPIRIES, "90d"),
        ask_password: reauth::is_stale(info.now, &signed_in.viewer),
        ..KeyForm::default()
    }
}

/// Creates the key that a form describes. On the page of a project, the form's own choice of project is ignored.
pub(in crate::web) async fn submit(
    app: &Arc<App>,
    info: &RequestInfo,
    signed_in: &SignedIn,
    params: &Params<'_>,
    projects: &[Project],
    within: Option<&Project>,
) -> Result<Submission, PageFailure> {
    params.refuse_duplicates(&["scope"])?;
    let mut form = typed(app, info, signed_in, params, projects);
    let project = match (within, params.get("project").unwrap_or_default()) {
        (Some(project), _) => Some(project.clone()),
        (None, "") => None,
        (None, id) => {
            let found = projects.iter().find(|project| project.id == id);
            form.project_error = found.is_none().then(|| "You do not have this project.".to_owned());
            found.cloned()
        }
    };
    let Some(new) = check(app, info, signed_in, params, project, &mut form).await? else {
        return Ok(Submission::Wrong(Box::new(form)));
    };
    let in_project = new.project.is_some();
    let store = signed_in.store(app);
    let (act, by) = (info.act(&signed_in.user.id), Attenuation::signed_in(&signed_in.user));
    match keys::create(app.engine_on(&store), act, &by, new, alone).await {
        Ok(Created { secret, key, .. }) => Ok(Submission::Made(secret, Box::new(key))),
        // The id comes from the form, so the form was sent before.
        Err(store::Error::Conflict) => Ok(Submission::Again),
        Err(store::Error::Refused(why)) if in_project => {
            form.project_error = Some(sentence(&why.description));
            Ok(Submission::Wrong(Box::new(form)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The form with the user's input.
fn typed(app: &App, info: &RequestInfo, signed_in: &SignedIn, params: &Params<'_>, projects: &[Project]) -> KeyForm {
    let catalog = app.catalog.current();
    KeyForm {
        form: params.get("form").unwrap_or_default().to_owned(),
        name: params.get("name").unwrap_or_default().to_owned(),
        scopes: format::groups(&catalog, |name| params.all("scope").any(|chosen| chosen == name)),
        projects: project_choices(projects, params.get("project").unwrap_or_default()),
        environments: environments(app, params.get("environment")),
        expiries: format::choices(&EXPIRIES, params.get("expires_in").unwrap_or("never")),
        networks: params.get("networks").unwrap_or_default().to_owned(),
        ask_password: reauth::is_stale(info.now, &signed_in.viewer),
        ..KeyForm::default()
    }
}

/// The checked values of the form, or `None` and the errors in `form`. Fields that an owner may not set are ignored.
async fn check(
    app: &Arc<App>,
    info: &RequestInfo,
    signed_in: &SignedIn,
    params: &Params<'_>,
    project: Option<Project>,
    form: &mut KeyForm,
) -> Result<Option<NewKey>, PageFailure> {
    let id = signed_in.viewer.read_form_id(app, &form.form)?;
    let name = match params.get("name") {
        None => Ok(format!("Key of {}", info.now.day())),
        Some(name) => text::name("a name", name),
    };
    let chosen: Vec<String> = params.all("scope").map(ToOwned::to_owned).collect();
    let scopes = if chosen.is_empty() {
        Err(Error::invalid_scope("choose at least one permission"))
    } else {
        app.catalog.current().choose(&chosen)
    };
    let networks = Networks::parse(&form.networks);
    let expires_in_seconds = match params.get("expires_in").unwrap_or("never") {
        "never" => None,
        span => Some(span::seconds(span)?),
    };
    let (name, scopes, networks) = match (name, scopes, networks) {
        (Ok(name), Ok(scopes), Ok(networks)) if form.project_error.is_none() => (name, scopes, networks),
        (name, scopes, networks) => {
            let words = |error: Error| sentence(&error.description);
            form.name_error = name.err().map(words);
            form.scope_error = scopes.err().map(words);
            form.networks_error = networks.err().map(words);
            return Ok(None);
        }
    };
    let password = params.get("password");
    if let Err(why) = reauth::require_recent_login(app, info, &signed_in.viewer, &signed_in.user, password).await? {
        form.password_error = Some(why);
        return Ok(None);
    }
    Ok(Some(NewKey {
        id: Some(format!("key_{id}")),
        environment: params.get("environment").map(ToOwned::to_owned),
        expires_in_seconds,
        project,
        networks,
        ..NewKey::of(&signed_in.user.id, &name, scopes)
    }))
}

/// The environments of keys; the first is selected unless another was chosen.
fn environments(app: &App, chosen: Option<&str>) -> Vec<Choice> {
    let first = app.config.default_environment();
    let choice = |name: &String| Choice {
        value: name.clone(),
        label: format::label(name),
        selected: name == chosen.unwrap_or(first),
    };
    app.config.environments.iter().map(choice).collect()
}

/// The projects in which a key may be created.
fn project_choices(projects: &[Project], chosen: &str) -> Vec<Choice> {
    let choice = |project: &Project| Choice {
        value: project.id.clone(),
        label: project.name.clone(),
        selected: project.id == chosen,
    };
    projects.iter().filter(|project| !project.is_disabled() || project.id == chosen).map(choice).collect()
}
