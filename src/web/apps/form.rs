//! Owns `/apps/new` and the form for an app: showing it, checking it, and registering a new app.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::secret::{AppSecretPage, exchange};
use crate::{
    app::App,
    engine::{
        alone,
        attenuation::Attenuation,
        clients::{self, WithSecret},
    },
    http::{
        extract::RequestInfo,
        page::{render, shell},
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
    ui::{Flash, Nav, ScopeGroup, Shell, Tone, sentence},
    web::{
        format, reauth,
        request::{PageResult, signed_form},
    },
};

/// A developer's input about an app, kept when the form is shown again with errors beside the fields.
#[derive(Debug, Clone, Default)]
pub struct AppForm {
    pub form: String,
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
    /// Whether the sign-in is not recent, so that the password is required again.
    pub ask_password: bool,
    pub password_error: Option<String>,
}

impl AppForm {
    #[must_use]
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
pub async fn blank(State(app): State<Arc<App>>, info: RequestInfo, headers: HeaderMap) -> PageResult {
    let signed_in = SignedIn::of(&app, info.now, &headers).await?;
    let form = AppForm {
        form: signed_in.viewer.form_id(&app),
        scopes: format::groups(&app.catalog.current(), |_| false),
        ask_password: reauth::is_stale(info.now, &signed_in.viewer),
        ..AppForm::default()
    };
    Ok(form_page(&app, &signed_in, None, form, StatusCode::OK))
}

/// `POST /apps`
pub async fn create(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let params = body.params()?;
    params.refuse_duplicates(&["scope"])?;
    let mut form = typed(&app, &params);
    form.ask_password = reauth::is_stale(info.now, &signed_in.viewer);
    let id = signed_in.viewer.read_form_id(&app, &form.form)?;
    let kind = ClientType::parse(params.get("type").unwrap_or("confidential"))
        .ok_or_else(|| Error::invalid_request("type must be confidential or public"))?;
    let Some(changes) = check(&app, &params, &mut form, Fixed::Nothing) else {
        return Ok(form_page(&app, &signed_in, None, form, StatusCode::BAD_REQUEST));
    };
    let password = params.get("password");
    if let Err(why) = reauth::require_recent_login(&app, &info, &signed_in.viewer, &signed_in.user, password).await? {
        form.password_error = Some(why);
        return Ok(form_page(&app, &signed_in, None, form, StatusCode::BAD_REQUEST));
    }
    let user_id = signed_in.user.id.clone();
    let client = Client {
        id: format!("client_{id}"),
        owner_id: Some(user_id),
        redirect_uris: changes.redirect_uris.unwrap_or_default(),
        scopes: changes.scopes.unwrap_or_default(),
        ..Client::new(info.now, changes.name.unwrap_or_default(), kind)
    };
    let store = signed_in.store(&app);
    let (act, by) = (info.act(&signed_in.user.id), Attenuation::signed_in(&signed_in.user));
    match clients::register(app.engine_on(&store), act, &by, client, alone).await {
        Ok(WithSecret { client, secret, .. }) => {
            let page = AppSecretPage {
                shell: shell(&app, &signed_in.viewer, "App registered", Nav::Apps),
                exchange: exchange(&app, &client),
                client_id: client.id,
                name: client.name,
                secret: secret.map(|secret| secret.expose().to_owned()),
                rotated: false,
                previous_ends: None,
            };
            Ok(render(&page))
        }
        // The id comes from the form, so the form was sent before: that response had the secret.
        Err(store::Error::Conflict) => {
            let text = "This form was already sent, and the app is registered. A secret is shown only once.".to_owned();
            form.form = signed_in.viewer.form_id(&app);
            Ok(form_page(&app, &signed_in, Some(Flash { tone: Tone::Warn, text }), form, StatusCode::CONFLICT))
        }
        Err(error) => Err(error.into()),
    }
}

/// The form with the user's input.
pub(in crate::web) fn typed(app: &App, params: &Params<'_>) -> AppForm {
    AppForm {
        form: params.get("form").unwrap_or_default().to_owned(),
        name: params.get("name").unwrap_or_default().to_owned(),
        is_public: params.get("type") == Some(ClientType::Public.as_str()),
        redirect_uris: params.get("redirect_uris").unwrap_or_default().to_owned(),
        scopes: format::groups(&app.catalog.current(), |name| params.all("scope").any(|chosen| chosen == name)),
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
    let mut response = render(&page);
    *response.status_mut() = status;
    response
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
