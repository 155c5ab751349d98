//! Owns `/api/v1/clients`: OAuth clients, one's own or for administrators all. Does not authenticate them; see
//! `engine::clients`.

mod body;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};

pub use self::body::{ChangeClient, Client, CreateClient, Filter, MadeClient, RotateSecret};
use super::{
    auth::{Caller, ClientsRead, ClientsWrite, May, no},
    once::{Answer, Work, found},
    page::{Page, Paging, Query, fill},
    path::Id,
};
use crate::{
    app::App,
    engine::clients::new_secret,
    http::{json::Sent, problem::Problem, reply},
    model::{
        client::{AuthMethod, Client as Record, ClientType, GrantType, REDIRECT_URIS_MAX},
        clock::Timestamp,
        error::Error,
        redirect_uri::RedirectUri,
        reserved,
        scope::Scopes,
        secret::Secret,
        text,
    },
    store::ClientChanges,
};

/// Longest grace window, in seconds.
const GRACE_MAX: i64 = 60;
/// Longest overlap of two secrets, in seconds: a year.
const OVERLAP_MAX: i64 = 31_536_000;

/// List clients
#[utoipa::path(get, path = "/api/v1/clients", tag = "clients", params(Filter, Paging),
    responses((status = 200, body = Page<Client>)), security(("bearer" = ["grantd:clients:read"])))]
pub async fn list(
    State(app): State<Arc<App>>,
    May(caller, ..): May<ClientsRead>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["user", "limit", "cursor"])?;
    let filter = Filter { user: query.get("user").map(ToOwned::to_owned) };
    let owner = caller.whose(&app, filter.user.as_deref()).await?;
    let (store, owner) = (&app.store, owner.as_deref());
    let read = |place, limit| async move { store.clients_behind(owner, &place, limit).await };
    Ok(reply::json(&fill(&app, "clients", &query.paging()?, read, |client| Some(Client::from(client))).await?))
}

/// Register a client
///
/// The answer shows the secret of a confidential client, once.
#[utoipa::path(post, path = "/api/v1/clients", tag = "clients", request_body = CreateClient,
    responses((status = 201, body = MadeClient)), security(("bearer" = ["grantd:clients:write"])))]
pub async fn create(
    State(app): State<Arc<App>>,
    May(caller, ..): May<ClientsWrite>,
    Sent { value: sent, once }: Sent<CreateClient>,
) -> Result<Response, Problem> {
    let work = match Work::begin(&app, &caller, once).await? {
        Ok(work) => work,
        Err(answer) => return Ok(answer),
    };
    let (client, secret) = sent.client(&app, &caller).await?;
    caller.may_hand_on(&app, &reaches(&client))?;
    let secret = secret.map(|secret| secret.expose().to_owned());
    let made = MadeClient { made: client.clone().into(), client_secret: secret, others_end_at: None };
    let answer = Answer::created(&made)?;
    let done = work.store(&answer)?.insert_client(caller.info.now, caller.origin(), client).await;
    work.end(answer, done.map_err(Into::into)).await
}

impl CreateClient {
    /// The client that is asked for, with its secret to show.
    async fn client(self, app: &App, caller: &Caller) -> Result<(Record, Option<Secret>), Problem> {
        for (member, is_given) in [
            ("grant_types", self.grant_types.is_some()),
            ("auth_method", self.auth_method.is_some()),
            ("first_party", self.first_party.is_some()),
            ("require_pkce", self.require_pkce.is_some()),
            ("refresh_grace", self.refresh_grace.is_some()),
        ] {
            caller.server_only(member, is_given)?;
        }
        let owner_id = match (&self.user, caller.is_admin()) {
            (None, true) => None,
            (user, _) => Some(caller.owner(app, user.as_deref()).await?.id),
        };
        let words = |what: &str| Error::invalid_request(format!("{what} is not one this server knows"));
        let kind = match &self.r#type {
            Some(text) => ClientType::parse(text).ok_or_else(|| words("type"))?,
            None => ClientType::Confidential,
        };
        let grant_types = match self.grant_types {
            Some(given) => given
                .iter()
                .map(|text| GrantType::parse(text).ok_or_else(|| words("a grant type")))
                .collect::<Result<Vec<_>, _>>()?,
            None => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        };
        let method =
            self.auth_method.map(|text| AuthMethod::parse(&text).ok_or_else(|| words("auth_method"))).transpose()?;
        let auth_methods = auth_methods(kind, method)?;
        let require_pkce = self.require_pkce.unwrap_or(true);
        if kind == ClientType::Public && (!require_pkce || grant_types.contains(&GrantType::ClientCredentials)) {
            return Err(Error::invalid_request("a public client needs PKCE and has no client_credentials").into());
        }
        let refresh_grace = self.refresh_grace.unwrap_or(10);
        if !(0..=GRACE_MAX).contains(&refresh_grace) {
            return Err(Error::invalid_request("refresh_grace is 0 to 60 seconds").into());
        }
        let uses_codes = grant_types.contains(&GrantType::AuthorizationCode);
        let now = caller.info.now;
        let secret = (kind == ClientType::Confidential).then(|| new_secret(now));
        let client = Record {
            owner_id,
            auth_methods,
            redirect_uris: redirect_uris(&self.redirect_uris, uses_codes)?,
            grant_types,
            scopes: scopes(app, caller, &self.scopes)?,
            first_party: self.first_party.unwrap_or_default(),
            require_pkce,
            refresh_grace_ms: refresh_grace * 1000,
            secrets: secret.iter().map(|(_, kept)| kept.clone()).collect(),
            ..Record::new(now, text::name("the name", &self.name)?, kind)
        };
        Ok((client, secret.map(|(shown, _)| shown)))
    }
}

/// One client
#[utoipa::path(get, path = "/api/v1/clients/{id}", tag = "clients", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = Client)), security(("bearer" = ["grantd:clients:read"])))]
pub async fn get(
    State(app): State<Arc<App>>,
    May(caller, ..): May<ClientsRead>,
    Id(id): Id,
) -> Result<Response, Problem> {
    Ok(reply::json(&Client::from(visible(&app, &caller, &id).await?)))
}

/// Change a client
///
/// A redirect URI that is gone ends the codes sent to it.
#[utoipa::path(patch, path = "/api/v1/clients/{id}", tag = "clients", params(("id" = String, Path, format = "id")),
    request_body = ChangeClient, responses((status = 200, body = Client)),
    security(("bearer" = ["grantd:clients:write"])))]
pub async fn update(
    State(app): State<Arc<App>>,
    May(caller, ..): May<ClientsWrite>,
    Id(id): Id,
    Sent { value: sent, .. }: Sent<ChangeClient>,
) -> Result<Response, Problem> {
    caller.server_only("active", sent.active.is_some())?;
    let old = visible(&app, &caller, &id).await?;
    let (now, uses_codes) = (caller.info.now, old.may_use(GrantType::AuthorizationCode));
    let changed = Record {
        name: sent.name.as_ref().map_or(Ok(old.name.clone()), |name| text::name("the name", name))?,
        redirect_uris: match &sent.redirect_uris {
            Some(uris) => redirect_uris(uris, uses_codes)?,
            None => old.redirect_uris.clone(),
        },
        scopes: match &sent.scopes {
            Some(names) => scopes(&app, &caller, names)?,
            None => old.scopes.clone(),
        },
        ..old
    };
    caller.may_hand_on(&app, &reaches(&changed))?;
    if sent.name.is_some() || sent.redirect_uris.is_some() || sent.scopes.is_some() {
        let to = ClientChanges { name: changed.name, redirect_uris: changed.redirect_uris, scopes: changed.scopes };
        found(app.store.update_client(now, caller.origin(), id.clone(), None, to).await, no_client)?;
    }
    if let Some(active) = sent.active {
        found(app.store.set_client_active(now, caller.origin(), id.clone(), active).await, no_client)?;
    }
    Ok(reply::json(&Client::from(visible(&app, &caller, &id).await?)))
}

/// Delete a client with everything issued to it
#[utoipa::path(delete, path = "/api/v1/clients/{id}", tag = "clients", params(("id" = String, Path, format = "id")),
    responses((status = 204, description = "It is gone")), security(("bearer" = ["grantd:clients:write"])))]
pub async fn delete(
    State(app): State<Arc<App>>,
    May(caller, ..): May<ClientsWrite>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let client = visible(&app, &caller, &id).await?;
    found(app.store.delete_client(caller.info.now, caller.origin(), id, client.owner_id).await, no_client)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Make a new secret; the old ones still work for a while
#[utoipa::path(post, path = "/api/v1/clients/{id}/secret", tag = "clients", params(("id" = String, Path, format = "id")),
    request_body = RotateSecret, responses((status = 201, body = MadeClient)),
    security(("bearer" = ["grantd:clients:write"])))]
pub async fn rotate_secret(
    State(app): State<Arc<App>>,
    May(caller, ..): May<ClientsWrite>,
    Id(id): Id,
    Sent { value: sent, once }: Sent<RotateSecret>,
) -> Result<Response, Problem> {
    let overlap = sent.overlap.unwrap_or(86_400);
    if !(0..=OVERLAP_MAX).contains(&overlap) {
        return Err(Error::invalid_request("overlap is 0 to 31536000 seconds").into());
    }
    let work = match Work::begin(&app, &caller, once).await? {
        Ok(work) => work,
        Err(answer) => return Ok(answer),
    };
    let client = visible(&app, &caller, &id).await?;
    caller.may_hand_on(&app, &reaches(&client))?;
    let now: Timestamp = caller.info.now;
    let (owner, others_end_at) = (client.owner_id.clone(), now.plus_seconds(overlap));
    let (shown, kept) = new_secret(now);
    let made = MadeClient {
        made: client.into(),
        client_secret: Some(shown.expose().to_owned()),
        others_end_at: Some(others_end_at.rfc3339()),
    };
    let answer = Answer::created(&made)?;
    let done = work.store(&answer)?.rotate_secret(now, caller.origin(), id, owner, kept, others_end_at).await;
    work.end(answer, found(done, || Error::invalid_request("a public client has no secret"))).await
}

/// What whoever holds a client's secret gets by that alone, and what nobody is to reach by way of a client.
fn reaches(client: &Record) -> Scopes {
    if client.may_use(GrantType::ClientCredentials) { client.scopes.clone() } else { reserved::of(&client.scopes) }
}

/// Scopes that a client may ask for: those of the management API only where an administrator says so.
fn scopes(app: &App, caller: &Caller, names: &[String]) -> Result<Scopes, Error> {
    let catalog = app.catalog.current();
    if caller.is_admin() { catalog.choose_also_reserved(names) } else { catalog.choose(names) }
}

fn redirect_uris(texts: &[String], uses_codes: bool) -> Result<Vec<RedirectUri>, Error> {
    if (uses_codes && texts.is_empty()) || texts.len() > REDIRECT_URIS_MAX {
        return Err(Error::invalid_request("the code flow needs 1 to 20 redirect URIs"));
    }
    texts.iter().map(|text| RedirectUri::register(text)).collect()
}

fn auth_methods(kind: ClientType, asked: Option<AuthMethod>) -> Result<Vec<AuthMethod>, Error> {
    match (kind, asked) {
        (ClientType::Public, None | Some(AuthMethod::None)) => Ok(vec![AuthMethod::None]),
        (ClientType::Confidential, None) => Ok(vec![AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost]),
        (ClientType::Confidential, Some(method)) if method != AuthMethod::None => Ok(vec![method]),
        _ => Err(Error::invalid_request("a public client has auth_method none, a confidential one has a secret")),
    }
}

async fn visible(app: &App, caller: &Caller, id: &str) -> Result<Record, Problem> {
    let is_theirs = |client: &Record| match &client.owner_id {
        Some(owner) => caller.sees(owner),
        None => caller.is_admin(),
    };
    Ok(app.store.find_client(id).await?.filter(is_theirs).ok_or_else(no_client)?)
}

fn no_client() -> Error {
    no("client (or it is an API's own)")
}
