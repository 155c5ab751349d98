//! Owns `/apps/new` and the form for an app: showing it, checking it, and registering a new app.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::secret;
use crate::{
    app::App,
    engine::{alone, clients},
    http::{
        page::{render_as, shell},
        signed_in::SignedIn,
    },
    model::{
        client::{Client, ClientType, REDIRECT_URIS_MAX},
        error::Error,
        params::Params,
        redirect_uri::RedirectUri,
        text,
    },
    store::{self, ClientChanges},
    ui::{Confirmation, Flash, Nav, ScopeGroup, Shell, Tone, sentence},
    web::{
        format,
        reauth::{self, Confirmed, Confirming},
        request::{Change, Form, PageResult},
    },
};

/// A developer's input about an app, kept when the form is shown again with errors beside the fields.
#[derive(Debug, Clone, Default)]
pub struct AppForm {
    pub confirm: Confirmation,
    pub name: String,
    pub name_error: Option<String>,
    pub is_public: bool,
    /// One URI per line.
    pub redirect_uris: String,
    pub redirect_uris_error: Option<String>,
    pub scopes: Vec<ScopeGroup>,
    pub scope_error: Option<String>,
    /// It uses no authorization codes, so it needs no redirect URI.
    pub without_codes: bool,
}

impl AppForm {
    pub fn has_errors(&self) -> bool {
        self.name_error.is_some() || self.redirect_uris_error.is_some() || self.scope_error.is_some()
    }
}

/// `GET /apps/new`.
#[derive(Debug, Template)]
#[template(path = "apps/form.html")]
pub struct AppNewPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub form: AppForm,
}

/// The parts of an app that its owner can see but not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    /// Nothing.
    Nothing,
    /// Its scopes: it acts without a user.
    Scopes,
    /// Its name, redirect URIs and scopes, since users are not asked for consent.
    Details,
}

/// `GET /apps/new`
pub async fn blank(State(app): State<Arc<App>>, signed_in: SignedIn) -> PageResult {
    let form = AppForm {
        confirm: reauth::confirmation(&app, &signed_in),
        scopes: format::groups(&app.catalog.current(), |_| false),
        ..AppForm::default()
    };
    Ok(form_page(&app, &signed_in, None, form, StatusCode::OK))
}

/// `POST /apps`
pub async fn create(State(app): State<Arc<App>>, form: Form<Confirming>) -> PageResult {
    let mut input = typed(&app, &form);
    let id = form.viewer.read_form_id(&app, &input.confirm.form)?;
    let kind = ClientType::parse(form.params.get("type").unwrap_or("confidential"))
        .ok_or_else(|| Error::invalid_request("type must be confidential or public"))?;
    let Some(changes) = check(&app, &form.params, &mut input, Fixed::Nothing) else {
        return Ok(form_page(&app, &form, None, input, StatusCode::BAD_REQUEST));
    };
    let Change { store, act, by } = match form.confirm(&app).await? {
        Confirmed::Yes(change) => change,
        Confirmed::No(why) => {
            input.confirm.password_error = Some(why);
            return Ok(form_page(&app, &form, None, input, StatusCode::BAD_REQUEST));
        }
    };
    let client = Client {
        id: format!("client_{id}"),
        owner_id: Some(form.user.id.clone()),
        redirect_uris: changes.redirect_uris.unwrap_or_default(),
        scopes: changes.scopes.unwrap_or_default(),
        ..Client::new(form.info.now, changes.name.unwrap_or_default(), kind)
    };
    match clients::register(app.engine_on(&store), act, &by, client, alone).await {
        Ok(made) => Ok(secret::page(&app, &form.viewer, made, None)),
        // The id comes from the form, so the form was sent before: that response had the secret.
        Err(store::Error::Conflict) => {
            let text = "This form was already sent, and the app is registered. A secret is shown only once.";
            input.confirm.form = form.viewer.form_id(&app);
            Ok(form_page(&app, &form, Some(Flash::of(Tone::Warn, text)), input, StatusCode::CONFLICT))
        }
        Err(error) => Err(error.into()),
    }
}

/// The form with the user's input.
pub(super) fn typed(app: &App, form: &Form<Confirming>) -> AppForm {
    AppForm {
        confirm: Confirmation { form: form.get("form").to_owned(), ..reauth::confirmation(app, form) },
        name: form.get("name").to_owned(),
        is_public: form.get("type") == ClientType::Public.as_str(),
        redirect_uris: form.get("redirect_uris").to_owned(),
        scopes: format::groups(&app.catalog.current(), |name| form.params.all("scope").any(|chosen| chosen == name)),
        ..AppForm::default()
    }
}

/// The checked values of the form, or `None` and the errors in `form`, each beside its field.
pub(in crate::web) fn check(app: &App, params: &Params<'_>, form: &mut AppForm, fixed: Fixed) -> Option<ClientChanges> {
    let name = text::name("a name", &form.name);
    let redirect_uris = redirect_uris(&form.redirect_uris, form.without_codes);
    let chosen: Vec<String> = params.all("scope").map(ToOwned::to_owned).collect();
    let scopes = match (chosen.is_empty(), fixed) {
        (true, Fixed::Nothing) => Err(Error::invalid_scope("choose at least one permission")),
        // If the page offers no choice, nothing is changed.
        (true, _) => Ok(None),
        (false, _) => app.catalog.current().choose(&chosen).map(Some),
    };
    match (name, redirect_uris, scopes) {
        (Ok(name), Ok(redirect_uris), Ok(scopes)) => {
            Some(ClientChanges { name: Some(name), redirect_uris: Some(redirect_uris), scopes, allowed_for: None })
        }
        (name, redirect_uris, scopes) => {
            form.name_error = name.err().map(|error| sentence(&error.description));
            form.redirect_uris_error = redirect_uris.err();
            form.scope_error = scopes.err().map(|error| sentence(&error.description));
            None
        }
    }
}

/// The type in one word.
pub(in crate::web) fn kind_word(kind: ClientType) -> &'static str {
    match kind {
        ClientType::Confidential => "Confidential",
        ClientType::Public => "Public",
    }
}

fn form_page(app: &App, signed_in: &SignedIn, flash: Option<Flash>, form: AppForm, status: StatusCode) -> Response {
    let page = AppNewPage { shell: shell(app, &signed_in.viewer, "Register an app", Nav::Apps), flash, form };
    render_as(status, &page)
}

/// One redirect URI per line.
fn redirect_uris(text: &str, without_codes: bool) -> Result<Vec<RedirectUri>, String> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let uris = lines
        .map(|(at, line)| {
            RedirectUri::register(line).map_err(|error| format!("Line {}: {}.", at + 1, error.description))
        })
        .collect::<Result<Vec<_>, _>>()?;
    match uris.len() {
        0 if !without_codes => Err("Enter at least one.".to_owned()),
        0..=REDIRECT_URIS_MAX => Ok(uris),
        _ => Err(format!("At most {REDIRECT_URIS_MAX}.")),
    }
}
