//! Owns the form for a new key, on the list and on the page of a project: its choices, its input, the key it creates.

use std::sync::Arc;

use crate::{
    app::App,
    engine::{
        alone,
        keys::{self, Created},
        new_key::NewKey,
    },
    http::signed_in::SignedIn,
    model::{error::Error, key::ApiKey, network::Networks, project::Project, secret::Secret, span, text},
    store,
    ui::{Choice, Confirmation, ScopeGroup, sentence},
    web::{
        format,
        reauth::{self, Confirmed, Confirming},
        request::{Change, Form, PageFailure},
    },
};

/// The message for a form that is sent again.
pub(in crate::web) const SENT_BEFORE: &str =
    "This form was already sent, and its key is in the list. A key is shown only once.";

/// The choices for a key's expiry, the first only where its project has none of its own.
const EXPIRIES: [(&str, &str); 4] =
    [("never", "Never"), ("30d", "In 30 days"), ("90d", "In 90 days"), ("365d", "In 1 year")];

/// The form for a new key, with the user's input when it is shown again with errors.
#[derive(Debug, Clone, Default)]
pub struct KeyForm {
    pub confirm: Confirmation,
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
}

impl KeyForm {
    pub fn has_errors(&self) -> bool {
        let errors = [&self.name_error, &self.scope_error, &self.project_error, &self.networks_error];
        self.confirm.password_error.is_some() || errors.into_iter().any(Option::is_some)
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
pub(in crate::web) fn blank(
    app: &App,
    signed_in: &SignedIn,
    projects: &[Project],
    within: Option<&Project>,
) -> KeyForm {
    KeyForm {
        confirm: reauth::confirmation(app, signed_in),
        scopes: format::groups(&app.catalog.current(), |_| false),
        projects: project_choices(projects, ""),
        environments: environments(app, within, None),
        expiries: expiries(within, None),
        ..KeyForm::default()
    }
}

/// Creates the key that a form describes. On the page of a project, the form's own choice of project is ignored.
pub(in crate::web) async fn submit(
    app: &Arc<App>,
    form: &Form<Confirming>,
    projects: &[Project],
    within: Option<&Project>,
) -> Result<Submission, PageFailure> {
    let mut input = typed(app, form, projects, within);
    let project = match (within, form.get("project")) {
        (Some(project), _) => Some(project.clone()),
        (None, "") => None,
        (None, id) => {
            let found = projects.iter().find(|project| project.id == id);
            input.project_error = found.is_none().then(|| "You do not have this project.".to_owned());
            found.cloned()
        }
    };
    let Some(new) = check(app, form, project, &mut input)? else { return Ok(Submission::Wrong(Box::new(input))) };
    let Change { store, act, by } = match form.confirm(app).await? {
        Confirmed::Yes(change) => change,
        Confirmed::No(why) => {
            input.confirm.password_error = Some(why);
            return Ok(Submission::Wrong(Box::new(input)));
        }
    };
    let in_project = new.project.is_some();
    match keys::create(app.engine_on(&store), act, &by, new, alone).await {
        Ok(Created { secret, key, .. }) => Ok(Submission::Made(secret, Box::new(key))),
        // The id comes from the form, so the form was sent before.
        Err(store::Error::Conflict) => Ok(Submission::Again),
        Err(store::Error::Refused(why)) if in_project => {
            input.project_error = Some(sentence(&why.description));
            Ok(Submission::Wrong(Box::new(input)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The form with the user's input.
fn typed(app: &App, form: &Form<Confirming>, projects: &[Project], within: Option<&Project>) -> KeyForm {
    let (catalog, params) = (app.catalog.current(), &form.params);
    KeyForm {
        confirm: Confirmation { form: form.get("form").to_owned(), ..reauth::confirmation(app, form) },
        name: form.get("name").to_owned(),
        scopes: format::groups(&catalog, |name| params.all("scope").any(|chosen| chosen == name)),
        projects: project_choices(projects, form.get("project")),
        environments: environments(app, within, params.get("environment")),
        expiries: expiries(within, Some(params.get("expires_in").unwrap_or("never"))),
        networks: form.get("networks").to_owned(),
        ..KeyForm::default()
    }
}

/// The checked values of the form, or `None` and the errors in `input`. Fields that an owner may not set are ignored.
fn check(
    app: &App,
    form: &Form<Confirming>,
    project: Option<Project>,
    input: &mut KeyForm,
) -> Result<Option<NewKey>, Error> {
    let (id, params) = (form.viewer.read_form_id(app, &input.confirm.form)?, &form.params);
    let name = match params.get("name") {
        None => Ok(format!("Key of {}", form.info.now.day())),
        Some(name) => text::name("a name", name),
    };
    let chosen: Vec<String> = params.all("scope").map(ToOwned::to_owned).collect();
    let scopes = if chosen.is_empty() {
        Err(Error::invalid_scope("choose at least one permission"))
    } else {
        app.catalog.current().choose(&chosen)
    };
    let networks = Networks::parse(&input.networks);
    let expires_in_seconds = match params.get("expires_in").unwrap_or("never") {
        "never" => None,
        span => Some(span::seconds(span)?),
    };
    let (name, scopes, networks) = match (name, scopes, networks) {
        (Ok(name), Ok(scopes), Ok(networks)) if input.project_error.is_none() => (name, scopes, networks),
        (name, scopes, networks) => {
            let words = |error: Error| sentence(&error.description);
            input.name_error = name.err().map(words);
            input.scope_error = scopes.err().map(words);
            input.networks_error = networks.err().map(words);
            return Ok(None);
        }
    };
    Ok(Some(NewKey {
        id: Some(format!("key_{id}")),
        environment: params.get("environment").map(ToOwned::to_owned),
        expires_in_seconds,
        project,
        networks,
        ..NewKey::of(&form.user.id, &name, scopes)
    }))
}

/// The environments of keys; the first is selected unless another was chosen.
fn environments(app: &App, within: Option<&Project>, chosen: Option<&str>) -> Vec<Choice> {
    let own = within.map(|project| &project.key_terms.environments).filter(|own| !own.is_empty());
    let known = own.unwrap_or(&app.config.environments);
    let first = known.first().map_or("", String::as_str);
    let choice = |name: &String| Choice {
        value: name.clone(),
        label: format::label(name),
        selected: name == chosen.unwrap_or(first),
    };
    known.iter().map(choice).collect()
}

/// The choices for a key's expiry. In a project with a default of its own, that stands in the place of "never".
fn expiries(within: Option<&Project>, chosen: Option<&str>) -> Vec<Choice> {
    let default = within.and_then(|project| project.key_terms.expires_in);
    let mut choices = format::choices(&EXPIRIES, chosen.unwrap_or(if default.is_some() { "never" } else { "90d" }));
    if let Some((never, seconds)) = choices.first_mut().zip(default) {
        never.label = format!("{}, as the project says", format::span(seconds));
    }
    choices
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
