//! Owns `/settings/keys`: a user's API keys, making one, revoking one. Does not make secrets; see `engine::apikey`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    kit::{Answer, Id, Refusal, go, query, signed_form},
    proof, words,
};
use crate::{
    app::App,
    engine::apikey::{self, NewKey, span_seconds},
    http::{
        extract::RequestInfo,
        page::{render, shell},
        session::SignedIn,
    },
    model::{
        clock::Timestamp,
        error::Error,
        key::{ApiKey, KeyStatus},
        params::Params,
        scope::Scopes,
        text,
    },
    store,
    view::{Flash, KeyCreatedPage, KeyForm, KeyRow, KeysPage, Nav, Tone, sentence, shell_quote},
};

/// A key that ends this soon is pointed out, in seconds.
const SOON_SECONDS: i64 = 7 * 86_400;
const ENVIRONMENTS: [(&str, &str); 2] = [("live", "Live"), ("test", "Test")];
const EXPIRIES: [(&str, &str); 4] =
    [("never", "Never"), ("30d", "In 30 days"), ("90d", "In 90 days"), ("365d", "In a year")];

/// `GET /settings/keys`
pub async fn list(State(app): State<Arc<App>>, info: RequestInfo, uri: Uri, headers: HeaderMap) -> Answer {
    let signed_in = SignedIn::of(&app, info.now, &headers).await?;
    let flash = (query(&uri)?.get("done") == Some("revoked"))
        .then(|| Flash { tone: Tone::Good, text: "The key was revoked. It no longer works.".to_owned() });
    let form = blank(&app, &info, &signed_in);
    page(&app, &info, &signed_in, flash, form, StatusCode::OK).await
}

/// `POST /settings/keys`
pub async fn create(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Answer {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let params = body.params()?;
    params.refuse_duplicates(&["scope"])?;
    let mut form = typed(&app, &info, &signed_in, &params);
    let Some(new) = check(&app, &info, &signed_in, &params, &mut form).await? else {
        return page(&app, &info, &signed_in, None, form, StatusCode::BAD_REQUEST).await;
    };
    let (secret, key) = apikey::make(info.now, &app.config, new)?;
    let origin = info.origin(&signed_in.user.id);
    match app.store.insert_key(info.now, origin, secret.digest(), key.clone()).await {
        Ok(()) => Ok(created(&app, &signed_in, secret.expose(), &key)),
        // The id comes from the form, so the form was sent before: its answer had the key.
        Err(store::Error::Conflict) => {
            let text = "This form was sent before, and its key is in the list. A key is shown only once.".to_owned();
            let form = blank(&app, &info, &signed_in);
            page(&app, &info, &signed_in, Some(Flash { tone: Tone::Warn, text }), form, StatusCode::CONFLICT).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /settings/keys/{id}/revoke`
pub async fn revoke(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> Answer {
    let (signed_in, _) = signed_form(&app, &info, request).await?;
    let user_id = signed_in.user.id;
    if !app.store.revoke_key(info.now, info.origin(&user_id), id, Some(user_id)).await? {
        return Err(Error::not_found().into());
    }
    Ok(go(&app, "/settings/keys?done=revoked"))
}

/// The form as it is first shown. What only reads is ticked: the least that makes a useful key.
fn blank(app: &App, info: &RequestInfo, signed_in: &SignedIn) -> KeyForm {
    let catalog = app.catalog.current();
    KeyForm {
        form: signed_in.viewer.form_id(app),
        scopes: words::groups(&catalog, only_reads),
        environments: words::choices(&ENVIRONMENTS, "live"),
        expiries: words::choices(&EXPIRIES, "90d"),
        ask_password: proof::is_stale(info.now, &signed_in.viewer),
        ..KeyForm::default()
    }
}

/// The form with what was typed.
fn typed(app: &App, info: &RequestInfo, signed_in: &SignedIn, params: &Params<'_>) -> KeyForm {
    let catalog = app.catalog.current();
    KeyForm {
        form: params.get("form").unwrap_or_default().to_owned(),
        name: params.get("name").unwrap_or_default().to_owned(),
        scopes: words::groups(&catalog, |name| params.all("scope").any(|chosen| chosen == name)),
        environments: words::choices(&ENVIRONMENTS, params.get("environment").unwrap_or("live")),
        expiries: words::choices(&EXPIRIES, params.get("expires_in").unwrap_or("never")),
        ask_password: proof::is_stale(info.now, &signed_in.viewer),
        ..KeyForm::default()
    }
}

/// What the form asks for, or nothing and the reasons in `form`, each beside its field.
async fn check(
    app: &App,
    info: &RequestInfo,
    signed_in: &SignedIn,
    params: &Params<'_>,
    form: &mut KeyForm,
) -> Result<Option<NewKey>, Refusal> {
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
    let expires_in_seconds = match params.get("expires_in").unwrap_or("never") {
        "never" => None,
        span => Some(span_seconds(span)?),
    };
    let (name, scopes): (String, Scopes) = match (name, scopes) {
        (Ok(name), Ok(scopes)) => (name, scopes),
        (name, scopes) => {
            form.name_error = name.err().map(|error| sentence(&error.description));
            form.scope_error = scopes.err().map(|error| sentence(&error.description));
            return Ok(None);
        }
    };
    let password = params.get("password");
    if let Err(why) = proof::confirm(app, info, &signed_in.viewer, &signed_in.user, password).await? {
        form.password_error = Some(why);
        return Ok(None);
    }
    let environment = params.get("environment").unwrap_or("live").to_owned();
    let user_id = signed_in.user.id.clone();
    Ok(Some(NewKey {
        id: Some(format!("key_{id}")),
        environment,
        expires_in_seconds,
        ..NewKey::of(&user_id, &name, scopes)
    }))
}

async fn page(
    app: &App,
    info: &RequestInfo,
    signed_in: &SignedIn,
    flash: Option<Flash>,
    form: KeyForm,
    status: StatusCode,
) -> Answer {
    let keys = app.store.list_keys(info.now, &signed_in.user.id, None).await?;
    let (active, ended): (Vec<ApiKey>, Vec<ApiKey>) =
        keys.into_iter().partition(|key| key.status(info.now) == KeyStatus::Active);
    let rows = |keys: Vec<ApiKey>| keys.into_iter().map(|key| row(info.now, key)).collect();
    let page = KeysPage {
        shell: shell(app, &signed_in.viewer, "API keys", Nav::Keys),
        flash,
        active: rows(active),
        ended: rows(ended),
        form,
    };
    let mut response = render(&page);
    *response.status_mut() = status;
    Ok(response)
}

fn row(now: Timestamp, key: ApiKey) -> KeyRow {
    let ends_soon = key.expires_at.is_some_and(|end| end <= now.plus_seconds(SOON_SECONDS));
    let (status, tone) = match key.status(now) {
        KeyStatus::Active if ends_soon => ("expires soon", Tone::Warn),
        KeyStatus::Active => ("active", Tone::Good),
        KeyStatus::Expired => ("expired", Tone::Quiet),
        KeyStatus::Revoked => ("revoked", Tone::Bad),
    };
    KeyRow {
        hint: format!("{}…{}", key.prefix, key.hint),
        scopes: key.scopes.iter().map(ToOwned::to_owned).collect(),
        created: words::day(key.created_at),
        last_used: key.last_used_at.map(|at| words::ago(now, at)),
        expires: key.expires_at.map(words::day),
        id: key.id,
        name: key.name,
        environment: key.environment,
        project: None,
        status: status.to_owned(),
        tone,
    }
}

fn created(app: &App, signed_in: &SignedIn, secret: &str, key: &ApiKey) -> Response {
    let url = shell_quote(&format!("{}/v1/users/me", app.config.issuer));
    let page = KeyCreatedPage {
        shell: shell(app, &signed_in.viewer, "Your new key", Nav::Keys),
        id: key.id.clone(),
        name: key.name.clone(),
        key: secret.to_owned(),
        environment: key.environment.clone(),
        scopes: key.scopes.iter().map(ToOwned::to_owned).collect(),
        expires: key.expires_at.map(words::day),
        curl: format!("curl {url} \\\n  -H {}", shell_quote(&format!("Authorization: Bearer {secret}"))),
    };
    render(&page)
}

/// Whether a scope's name says that it reads and nothing else.
fn only_reads(name: &str) -> bool {
    name == "read" || [":read", ".read", "/read"].iter().any(|end| name.ends_with(end)) || name.starts_with("read:")
}
