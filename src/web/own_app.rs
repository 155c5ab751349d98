//! Owns `/apps/{id}`: one OAuth client as its owner sees it, to change, give a new secret, or delete. An app of somebody
//! else and one that does not exist look alike. Does not register apps; see `apps`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    apps::{check, exchange, kind_word, typed},
    kit::{Answer, Id, go, query, signed_form},
    proof, words,
};
use crate::{
    app::App,
    engine::{apikey::span_seconds, clients::new_secret},
    http::{
        extract::RequestInfo,
        page::{render, shell},
        session::SignedIn,
    },
    model::{
        client::{Client, ClientSecret, ClientType},
        error::Error,
        redirect_uri::RedirectUri,
        secret::CLIENT_SECRET,
        user::User,
    },
    store,
    view::{AppForm, AppPage, AppSecretPage, Flash, Nav, SecretRow, Tone},
};

const OVERLAPS: [(&str, &str); 4] = [("0s", "No time at all"), ("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days")];
/// Longest that an old secret may go on, in seconds.
const OVERLAP_MAX: i64 = 7 * 86_400;

/// `GET /apps/{id}`
pub async fn show(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, uri: Uri, headers: HeaderMap) -> Answer {
    let signed_in = SignedIn::of(&app, info.now, &headers).await?;
    let client = owned(&app, &signed_in.user, &id).await?;
    let flash =
        (query(&uri)?.get("done") == Some("saved")).then(|| Flash { tone: Tone::Good, text: "Saved.".to_owned() });
    let form = stored(&app, &client);
    Ok(page(&app, &info, &signed_in, client, flash, form, StatusCode::OK))
}

/// `POST /apps/{id}`
pub async fn update(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> Answer {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let client = owned(&app, &signed_in.user, &id).await?;
    let params = body.params()?;
    params.refuse_duplicates(&["scope"])?;
    let mut form = typed(&app, &params);
    let Some(changes) = check(&app, &params, &mut form) else {
        return Ok(page(&app, &info, &signed_in, client, None, form, StatusCode::BAD_REQUEST));
    };
    let user_id = signed_in.user.id;
    if !app.store.update_client(info.now, info.origin(&user_id), client.id.clone(), user_id, changes).await? {
        return Err(Error::not_found().into());
    }
    Ok(go(&app, &format!("/apps/{}?done=saved", client.id)))
}

/// `POST /apps/{id}/secret`
pub async fn rotate(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> Answer {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let client = owned(&app, &signed_in.user, &id).await?;
    let params = body.params()?;
    params.refuse_duplicates(&[])?;
    let form_id = signed_in.viewer.read_form_id(&app, params.get("form").unwrap_or_default())?;
    let overlap = match params.get("overlap") {
        None | Some("0") => 0,
        Some(span) => span_seconds(span)?,
    };
    if overlap > OVERLAP_MAX {
        return Err(Error::invalid_request("an old secret goes on for at most 7 days").into());
    }
    let password = params.get("password");
    if let Err(why) = proof::confirm(&app, &info, &signed_in.viewer, &signed_in.user, password).await? {
        let form = AppForm { password_error: Some(why), ..stored(&app, &client) };
        return Ok(page(&app, &info, &signed_in, client, None, form, StatusCode::BAD_REQUEST));
    }
    let (shown, kept) = new_secret(info.now);
    let kept = ClientSecret { id: format!("secret_{form_id}"), ..kept };
    let ends = info.now.plus_seconds(overlap);
    let user_id = signed_in.user.id.clone();
    let origin = info.origin(&user_id);
    match app.store.rotate_secret(info.now, origin, client.id.clone(), Some(user_id), kept, ends).await {
        Ok(true) => {
            let page = AppSecretPage {
                shell: shell(&app, &signed_in.viewer, "New secret", Nav::Apps),
                exchange: exchange(&app, &client),
                client_id: client.id,
                name: client.name,
                secret: Some(shown.expose().to_owned()),
                rotated: true,
                previous_ends: (overlap > 0).then(|| words::moment(ends)),
            };
            Ok(render(&page))
        }
        Ok(false) => Err(Error::not_found().into()),
        // The id comes from the form, so the form was sent before: its answer had the secret.
        Err(store::Error::Conflict) => {
            let text = "This form was sent before, and the secret was rotated then. It is shown only once.".to_owned();
            let form = stored(&app, &client);
            let flash = Some(Flash { tone: Tone::Warn, text });
            Ok(page(&app, &info, &signed_in, client, flash, form, StatusCode::CONFLICT))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /apps/{id}/delete`
pub async fn delete(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> Answer {
    let (signed_in, _) = signed_form(&app, &info, request).await?;
    let user_id = signed_in.user.id;
    if !app.store.delete_client(info.now, info.origin(&user_id), id, Some(user_id)).await? {
        return Err(Error::not_found().into());
    }
    Ok(go(&app, "/apps?done=deleted"))
}

/// The client with this id, if this user registered it.
async fn owned(app: &App, user: &User, id: &str) -> Result<Client, Error> {
    let client = app.store.find_client(id).await?;
    client.filter(|client| client.owner_id.as_deref() == Some(user.id.as_str())).ok_or_else(Error::not_found)
}

/// The form with what is stored.
fn stored(app: &App, client: &Client) -> AppForm {
    let uris: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    AppForm {
        name: client.name.clone(),
        is_public: client.kind == ClientType::Public,
        redirect_uris: uris.join("\n"),
        scopes: words::groups(&app.catalog.current(), |name| client.scopes.contains(name)),
        ..AppForm::default()
    }
}

fn page(
    app: &App,
    info: &RequestInfo,
    signed_in: &SignedIn,
    client: Client,
    flash: Option<Flash>,
    form: AppForm,
    status: StatusCode,
) -> Response {
    let live = |secret: &&ClientSecret| secret.expires_at.is_none_or(|end| end > info.now);
    let row = |secret: &ClientSecret| SecretRow {
        hint: format!("{}…{}", CLIENT_SECRET, secret.hint),
        created: words::day(secret.created_at),
        ends: secret.expires_at.map(words::moment),
    };
    let secrets = client.is_confidential().then(|| client.secrets.iter().filter(live).map(row).collect());
    let page = AppPage {
        shell: shell(app, &signed_in.viewer, &client.name, Nav::Apps),
        flash,
        kind: kind_word(client.kind).to_owned(),
        created: words::day(client.created_at),
        client_id: client.id,
        name: client.name,
        form: AppForm {
            form: signed_in.viewer.form_id(app),
            ask_password: proof::is_stale(info.now, &signed_in.viewer),
            ..form
        },
        secrets,
        overlaps: words::choices(&OVERLAPS, "24h"),
    };
    let mut response = render(&page);
    *response.status_mut() = status;
    response
}
