//! Owns `/apps/{id}`: one OAuth client as shown to its owner, to change it, rotate its secret, or delete it. A client
//! of another user and one that does not exist look alike.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    form::{AppForm, Fixed, check, kind_word, typed},
    secret::{AppSecretPage, exchange},
};
use crate::{
    app::App,
    engine::{
        alone,
        attenuation::Attenuation,
        client_rules,
        clients::{self, WithSecret},
    },
    http::{
        extract::RequestInfo,
        page::{render, shell},
        signed_in::SignedIn,
    },
    model::{
        client::{Client, ClientSecret, ClientType, GrantType},
        error::Error,
        management_api,
        redirect_uri::RedirectUri,
        secret::CLIENT_SECRET,
        span,
        user::User,
    },
    store::{self, ClientChanges},
    ui::{Choice, Flash, Nav, Shell, Step, Tone, When, monogram, sentence},
    web::{
        format, reauth,
        request::{Id, PageResult, query, redirect, signed_form},
    },
};

const OVERLAPS: [(&str, &str); 4] =
    [("0s", "Stop immediately"), ("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days")];

/// `GET /apps/{id}`: one app, to edit, rotate and delete.
#[derive(Debug, Template)]
#[template(path = "apps/detail.html")]
pub struct AppPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub client_id: String,
    pub name: String,
    pub kind: String,
    pub created: When,
    pub form: AppForm,
    /// The parts that only an administrator can change.
    pub fixed: Fixed,
    pub details: Step,
    pub rotate: Step,
    pub delete: Step,
    /// `None` for public clients.
    pub secrets: Option<Vec<SecretRow>>,
    /// How long the old secret keeps working after a rotation.
    pub overlaps: Vec<Choice>,
}

impl AppPage {
    #[must_use]
    pub fn has_fixed_details(&self) -> bool {
        self.fixed == Fixed::Details
    }

    #[must_use]
    pub fn has_fixed_scopes(&self) -> bool {
        self.fixed != Fixed::Nothing
    }

    #[must_use]
    pub fn monogram(&self) -> String {
        monogram(&self.name)
    }
}

/// One secret of an app: its last four characters and its lifetime.
#[derive(Debug, Clone)]
pub struct SecretRow {
    pub hint: String,
    pub created: When,
    pub ends: Option<When>,
}

/// A part of the page that requires a recent sign-in.
enum Part {
    Details,
    Rotate,
    Delete,
}

/// Messages of a previous step, shown on this page.
#[derive(Default)]
struct Feedback {
    flash: Option<Flash>,
    /// The user's input, if it differs from the stored values.
    form: Option<AppForm>,
    password_error: Option<(Part, String)>,
    status: StatusCode,
}

/// `GET /apps/{id}`
pub async fn show(
    State(app): State<Arc<App>>,
    info: RequestInfo,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
) -> PageResult {
    let signed_in = SignedIn::of(&app, info.now, &headers).await?;
    let client = owned(&app, &signed_in.user, &id).await?;
    let flash =
        (query(&uri)?.get("done") == Some("saved")).then(|| Flash { tone: Tone::Good, text: "Saved.".to_owned() });
    Ok(page(&app, &info, &signed_in, client, Feedback { flash, ..Feedback::default() }))
}

/// `POST /apps/{id}`
pub async fn update(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let client = owned(&app, &signed_in.user, &id).await?;
    let params = body.params()?;
    params.refuse_duplicates(&["scope"])?;
    let mut form = AppForm { without_codes: !client.may_use(GrantType::AuthorizationCode), ..typed(&app, &params) };
    let Some(changes) = check(&app, &params, &mut form, fixed(&signed_in.user, &client)) else {
        let feedback = Feedback { form: Some(form), status: StatusCode::BAD_REQUEST, ..Feedback::default() };
        return Ok(page(&app, &info, &signed_in, client, feedback));
    };
    // Scopes of the management API are not on the form, so omitting them does not remove them.
    let scopes = changes.scopes.map(|scopes| scopes.union(&management_api::of(&client.scopes)));
    let changes = ClientChanges { scopes, ..changes };
    let by = Attenuation::signed_in(&signed_in.user);
    let changes = match client_rules::may_change(&app.config, &by, &client, changes) {
        Ok(changes) => changes,
        Err(error) => {
            let flash = Some(Flash { tone: Tone::Bad, text: sentence(&error.description) });
            let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
            return Ok(page(&app, &info, &signed_in, client, Feedback { flash, status, ..Feedback::default() }));
        }
    };
    if !changes.is_empty() {
        let password = params.get("password");
        if let Err(why) =
            reauth::require_recent_login(&app, &info, &signed_in.viewer, &signed_in.user, password).await?
        {
            let feedback = Feedback { form: Some(form), ..Feedback::password(Part::Details, why) };
            return Ok(page(&app, &info, &signed_in, client, feedback));
        }
        let (store, act) = (signed_in.store(&app), info.act(&signed_in.user.id));
        clients::update(app.engine_on(&store), act, &by, &client, (changes, None))
            .await?
            .ok_or_else(Error::not_found)?;
    }
    Ok(redirect(&app, &format!("/apps/{}?done=saved", client.id)))
}

/// `POST /apps/{id}/secret`
pub async fn rotate(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let client = owned(&app, &signed_in.user, &id).await?;
    let params = body.params()?;
    params.refuse_duplicates(&[])?;
    let form_id = signed_in.viewer.read_form_id(&app, params.get("form").unwrap_or_default())?;
    let chosen = OVERLAPS.iter().find(|(value, _)| *value == params.get("overlap").unwrap_or("0s"));
    let (value, _) = chosen.ok_or_else(|| Error::invalid_request("overlap must be 0s, 1h, 24h or 7d"))?;
    let overlap = span::seconds(value)?;
    let password = params.get("password");
    if let Err(why) = reauth::require_recent_login(&app, &info, &signed_in.viewer, &signed_in.user, password).await? {
        return Ok(page(&app, &info, &signed_in, client, Feedback::password(Part::Rotate, why)));
    }
    let store = signed_in.store(&app);
    let (act, by) = (info.act(&signed_in.user.id), Attenuation::signed_in(&signed_in.user));
    let how = (Some(format!("secret_{form_id}")), overlap);
    match clients::rotate_secret(app.engine_on(&store), act, &by, client.clone(), how, alone).await {
        Ok(Some(WithSecret { client, secret, others_end_at })) => {
            let page = AppSecretPage {
                shell: shell(&app, &signed_in.viewer, "New secret", Nav::Apps),
                exchange: exchange(&app, &client),
                client_id: client.id,
                name: client.name,
                secret: secret.map(|secret| secret.expose().to_owned()),
                rotated: true,
                previous_ends: others_end_at.filter(|_| overlap > 0).map(format::moment),
            };
            Ok(render(&page))
        }
        Ok(None) => Err(Error::not_found().into()),
        // The id comes from the form, so the form was sent before: that response had the secret.
        Err(store::Error::Conflict) => {
            let text =
                "This form was already sent, and the secret was rotated. A secret is shown only once.".to_owned();
            let flash = Some(Flash { tone: Tone::Warn, text });
            Ok(page(
                &app,
                &info,
                &signed_in,
                client,
                Feedback { flash, status: StatusCode::CONFLICT, ..Feedback::default() },
            ))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /apps/{id}/delete`
pub async fn delete(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let client = owned(&app, &signed_in.user, &id).await?;
    let params = body.params()?;
    params.refuse_duplicates(&[])?;
    let password = params.get("password");
    if let Err(why) = reauth::require_recent_login(&app, &info, &signed_in.viewer, &signed_in.user, password).await? {
        return Ok(page(&app, &info, &signed_in, client, Feedback::password(Part::Delete, why)));
    }
    let user_id = signed_in.user.id.clone();
    if !signed_in.store(&app).delete_client(info.now, info.origin(&user_id), id, Some(user_id)).await? {
        return Err(Error::not_found().into());
    }
    Ok(redirect(&app, "/apps?done=deleted"))
}

/// The client with this id, if this user registered it.
async fn owned(app: &App, user: &User, id: &str) -> Result<Client, Error> {
    let client = app.store.find_client(id).await?;
    client.filter(|client| client.owner_id.as_deref() == Some(user.id.as_str())).ok_or_else(Error::not_found)
}

/// The form with the stored values.
fn stored(app: &App, client: &Client) -> AppForm {
    let uris: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    AppForm {
        name: client.name.clone(),
        is_public: client.kind == ClientType::Public,
        redirect_uris: uris.join("\n"),
        without_codes: !client.may_use(GrantType::AuthorizationCode),
        scopes: format::groups(&app.catalog.current(), |name| client.scopes.contains(name)),
        ..AppForm::default()
    }
}

/// The parts that this owner cannot change, as [`client_rules::may_change`] decides.
fn fixed(user: &User, client: &Client) -> Fixed {
    match (Attenuation::signed_in(user).is_admin(), client.first_party, client_rules::acts_alone(client)) {
        (true, ..) | (false, false, false) => Fixed::Nothing,
        (false, true, _) => Fixed::Details,
        (false, false, true) => Fixed::Scopes,
    }
}

impl Feedback {
    fn password(part: Part, why: String) -> Self {
        Self { password_error: Some((part, why)), status: StatusCode::BAD_REQUEST, ..Self::default() }
    }
}

fn page(app: &App, info: &RequestInfo, signed_in: &SignedIn, client: Client, feedback: Feedback) -> Response {
    let fixed = fixed(&signed_in.user, &client);
    // Parts that cannot be changed show the stored values, whatever the input.
    let kept = stored(app, &client);
    let form = match (feedback.form, fixed) {
        (Some(typed), Fixed::Nothing) => typed,
        (Some(typed), Fixed::Scopes) => AppForm { scopes: kept.scopes, ..typed },
        _ => kept,
    };
    let step = |wrong| reauth::step(app, info.now, &signed_in.viewer, wrong);
    let (details, rotate, delete) = match feedback.password_error {
        Some((Part::Details, why)) => (Some(why), None, None),
        Some((Part::Rotate, why)) => (None, Some(why), None),
        Some((Part::Delete, why)) => (None, None, Some(why)),
        None => (None, None, None),
    };
    let live = |secret: &&ClientSecret| secret.expires_at.is_none_or(|end| end > info.now);
    let row = |secret: &ClientSecret| SecretRow {
        hint: format!("{}…{}", CLIENT_SECRET, secret.hint),
        created: format::day(secret.created_at),
        ends: secret.expires_at.map(format::moment),
    };
    let secrets = client.is_confidential().then(|| client.secrets.iter().filter(live).map(row).collect());
    let page = AppPage {
        shell: shell(app, &signed_in.viewer, &client.name, Nav::Apps),
        flash: feedback.flash,
        kind: kind_word(client.kind).to_owned(),
        created: format::day(client.created_at),
        client_id: client.id,
        name: client.name,
        form: AppForm { form: signed_in.viewer.form_id(app), ..form },
        fixed,
        details: step(details),
        rotate: step(rotate),
        delete: step(delete),
        secrets,
        overlaps: format::choices(&OVERLAPS, "24h"),
    };
    let mut response = render(&page);
    *response.status_mut() = feedback.status;
    response
}
