//! Owns `/apps/{id}`: one OAuth client as shown to its owner, to change it, rotate its secret, or delete it. A client
//! of another user and one that does not exist look alike.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};

use super::{
    form::{AppForm, Fixed, check, kind_word, typed},
    secret,
};
use crate::{
    app::App,
    engine::{alone, attenuation::Attenuation, client_rules, clients},
    http::{
        page::{render_as, shell},
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
    ui::{Choice, Confirmation, Flash, Nav, Shell, Tone, When, sentence},
    web::{
        feedback, format,
        reauth::{Confirmed, Confirming},
        request::{Change, Form, Id, PageResult, done, redirect},
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
    pub details: Confirmation,
    pub rotate: Confirmation,
    pub delete: Confirmation,
    /// `None` for public clients.
    pub secrets: Option<Vec<SecretRow>>,
    /// How long the old secret keeps working after a rotation.
    pub overlaps: Vec<Choice>,
}

impl AppPage {
    pub fn has_fixed_details(&self) -> bool {
        self.fixed == Fixed::Details
    }

    pub fn has_fixed_scopes(&self) -> bool {
        self.fixed != Fixed::Nothing
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
#[derive(PartialEq)]
enum Part {
    Details,
    Rotate,
    Delete,
}

type Feedback = feedback::Feedback<AppForm, Part>;

/// `GET /apps/{id}`
pub async fn show(State(app): State<Arc<App>>, Id(id): Id, signed_in: SignedIn, uri: Uri) -> PageResult {
    let client = owned(&app, &signed_in.user, &id).await?;
    Ok(page(&app, &signed_in, client, Feedback::good(done(&uri, &[("saved", "Saved.")])?)))
}

/// `POST /apps/{id}`
pub async fn update(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    let client = owned(&app, &form.user, &id).await?;
    let without_codes = !client.may_use(GrantType::AuthorizationCode);
    let mut input = AppForm { without_codes, ..typed(&app, &form) };
    let Some(changes) = check(&app, &form.params, &mut input, fixed(&form.user, &client)) else {
        return Ok(page(&app, &form, client, Feedback::wrong(input)));
    };
    // Scopes of the management API are not on the form, so omitting them does not remove them.
    let scopes = changes.scopes.map(|scopes| scopes.union(&management_api::of(&client.scopes)));
    let changes = ClientChanges { scopes, ..changes };
    let changes = match client_rules::may_change(&app.config, &Attenuation::signed_in(&form.user), &client, changes) {
        Ok(changes) => changes,
        Err(error) => {
            let flash = Flash::of(Tone::Bad, sentence(&error.description));
            let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
            return Ok(page(&app, &form, client, Feedback::refused(flash, status)));
        }
    };
    if !changes.is_empty() {
        let Change { store, act, by } = match form.confirm(&app).await? {
            Confirmed::Yes(change) => change,
            Confirmed::No(why) => {
                let feedback = Feedback { typed: Some(input), ..Feedback::password(Part::Details, why) };
                return Ok(page(&app, &form, client, feedback));
            }
        };
        clients::update(app.engine_on(&store), act, &by, &client, (changes, None))
            .await?
            .ok_or_else(Error::not_found)?;
    }
    Ok(redirect(&app, &format!("/apps/{}?done=saved", client.id)))
}

/// `POST /apps/{id}/secret`
pub async fn rotate(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    let client = owned(&app, &form.user, &id).await?;
    let form_id = form.viewer.read_form_id(&app, form.get("form"))?;
    let chosen = OVERLAPS.iter().find(|(value, _)| *value == form.params.get("overlap").unwrap_or("0s"));
    let (value, _) = chosen.ok_or_else(|| Error::invalid_request("overlap must be 0s, 1h, 24h or 7d"))?;
    let overlap = span::seconds(value)?;
    let Change { store, act, by } = match form.confirm(&app).await? {
        Confirmed::Yes(change) => change,
        Confirmed::No(why) => return Ok(page(&app, &form, client, Feedback::password(Part::Rotate, why))),
    };
    let how = (Some(format!("secret_{form_id}")), overlap);
    match clients::rotate_secret(app.engine_on(&store), act, &by, client.clone(), how, alone).await {
        Ok(Some(made)) => Ok(secret::page(&app, &form.viewer, made, Some(overlap))),
        Ok(None) => Err(Error::not_found().into()),
        // The id comes from the form, so the form was sent before: that response had the secret.
        Err(store::Error::Conflict) => {
            let text = "This form was already sent, and the secret was rotated. A secret is shown only once.";
            let feedback = Feedback::refused(Flash::of(Tone::Warn, text), StatusCode::CONFLICT);
            Ok(page(&app, &form, client, feedback))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /apps/{id}/delete`
pub async fn delete(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    let client = owned(&app, &form.user, &id).await?;
    let Change { store, act, .. } = match form.confirm(&app).await? {
        Confirmed::Yes(change) => change,
        Confirmed::No(why) => return Ok(page(&app, &form, client, Feedback::password(Part::Delete, why))),
    };
    if !store.delete_client(act.now, act.origin, id, Some(form.user.id.clone())).await? {
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

fn page(app: &App, signed_in: &SignedIn, client: Client, feedback: Feedback) -> Response {
    let fixed = fixed(&signed_in.user, &client);
    let [details, rotate, delete] = feedback.confirmations(app, signed_in, [Part::Details, Part::Rotate, Part::Delete]);
    // Parts that cannot be changed show the stored values, whatever the input.
    let kept = stored(app, &client);
    let form = match (feedback.typed, fixed) {
        (Some(typed), Fixed::Nothing) => typed,
        (Some(typed), Fixed::Scopes) => AppForm { scopes: kept.scopes, ..typed },
        _ => kept,
    };
    let live = |secret: &&ClientSecret| secret.expires_at.is_none_or(|end| end > signed_in.viewer.now);
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
        form,
        fixed,
        details,
        rotate,
        delete,
        secrets,
        overlaps: format::choices(&OVERLAPS, "24h"),
    };
    render_as(feedback.status, &page)
}
