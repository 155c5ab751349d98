//! Owns `/api/v1/clients`: OAuth clients, one's own or for administrators all. Does not authenticate them; see
//! `engine::clients`. Who may register and change what is `engine::client_rules`.

mod body;

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    auth::{Authorized, Caller, ClientsRead, ClientsWrite, no_such},
    idempotency::{Guarded, JsonResponse, found},
    page::{Page, Paging, page},
    path::Id,
    query::ListQuery,
};
use crate::{
    api::json::JsonBody,
    app::App,
    engine::{client_rules, clients::new_secret},
    http::{problem::Problem, reply},
    model::{
        client::{AuthMethod, Client as Record, ClientType, GrantType},
        clock::Timestamp,
        error::Error,
        redirect_uri::RedirectUri,
        secret::Secret,
        text,
    },
    store::ClientChanges,
};

pub use self::body::{ChangeClient, Client, ClientFilter, CreateClient, MadeClient, RotateSecret};

/// List clients
#[utoipa::path(get, path = "/api/v1/clients", tag = "clients", params(ClientFilter, Paging),
    responses((status = 200, body = Page<Client>)), security(("bearer" = ["grantd:clients:read"])))]
pub async fn list(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ClientsRead>,
    ListQuery { filter, paging }: ListQuery<ClientFilter>,
) -> Result<Response, Problem> {
    let user = caller.owner_filter(&app, filter.user.as_deref()).await?;
    let read = |after, limit| app.store.clients_after(user.as_deref(), after, limit);
    Ok(reply::json(&page(&app, "clients", &paging, read, Client::from).await?))
}

/// Register a client
///
/// The answer shows the secret of a confidential client, once.
#[utoipa::path(post, path = "/api/v1/clients", tag = "clients", request_body = CreateClient,
    responses((status = 201, body = MadeClient)), security(("bearer" = ["grantd:clients:write"])))]
pub async fn create(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ClientsWrite>,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateClient>,
) -> Result<Response, Problem> {
    let guarded = match Guarded::begin(&app, &caller, idempotency_key).await? {
        Ok(guarded) => guarded,
        Err(replayed) => return Ok(replayed),
    };
    let (client, secret) = sent.client(&app, &caller).await?;
    caller.note_escalation(&app, client_rules::may_register(&caller.actor(), &client))?;
    let secret = secret.map(|secret| secret.expose().to_owned());
    let made = MadeClient { made: client.clone().into(), client_secret: secret, others_end_at: None };
    let response = JsonResponse::created(&made)?;
    let done = guarded.store(&response)?.insert_client(caller.info.now, caller.origin(), client).await;
    guarded.end(response, done.map_err(Into::into)).await
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
        let now = caller.info.now;
        let secret = (kind == ClientType::Confidential).then(|| new_secret(now));
        let usual = Record::new(now, text::name("the name", &self.name)?, kind);
        let client = Record {
            owner_id,
            auth_methods: method.map_or(usual.auth_methods, |method| vec![method]),
            redirect_uris: redirect_uris(&self.redirect_uris)?,
            grant_types,
            scopes: app.catalog.current().choose_with_management(&self.scopes)?,
            first_party: self.first_party.unwrap_or(usual.first_party),
            require_pkce: self.require_pkce.unwrap_or(usual.require_pkce),
            refresh_grace_ms: self.refresh_grace.map_or(usual.refresh_grace_ms, |seconds| seconds.saturating_mul(1000)),
            secrets: secret.iter().map(|(_, kept)| kept.clone()).collect(),
            ..usual
        };
        Ok((client, secret.map(|(shown, _)| shown)))
    }
}

/// One client
#[utoipa::path(get, path = "/api/v1/clients/{id}", tag = "clients", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = Client)), security(("bearer" = ["grantd:clients:read"])))]
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ClientsRead>,
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
    Authorized(caller, ..): Authorized<ClientsWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<ChangeClient>,
) -> Result<Response, Problem> {
    caller.server_only("active", sent.active.is_some())?;
    let old = visible(&app, &caller, &id).await?;
    let now = caller.info.now;
    let catalog = app.catalog.current();
    let to = ClientChanges {
        name: sent.name.map(|name| text::name("the name", &name)).transpose()?,
        redirect_uris: sent.redirect_uris.as_deref().map(redirect_uris).transpose()?,
        scopes: sent.scopes.map(|names| catalog.choose_with_management(&names)).transpose()?,
    };
    let to = caller.note_escalation(&app, client_rules::may_change(&caller.actor(), &old, to))?;
    if !to.is_empty() {
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
    Authorized(caller, ..): Authorized<ClientsWrite>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let client = visible(&app, &caller, &id).await?;
    found(app.store.delete_client(caller.info.now, caller.origin(), id, client.owner_id).await, no_client)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Create a new secret; the old ones still work for a while
#[utoipa::path(post, path = "/api/v1/clients/{id}/secret", tag = "clients", params(("id" = String, Path, format = "id")),
    request_body = RotateSecret, responses((status = 201, body = MadeClient)),
    security(("bearer" = ["grantd:clients:write"])))]
pub async fn rotate_secret(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ClientsWrite>,
    Id(id): Id,
    JsonBody { value: sent, idempotency_key }: JsonBody<RotateSecret>,
) -> Result<Response, Problem> {
    let overlap = sent.overlap.unwrap_or(86_400);
    let guarded = match Guarded::begin(&app, &caller, idempotency_key).await? {
        Ok(guarded) => guarded,
        Err(replayed) => return Ok(replayed),
    };
    let client = visible(&app, &caller, &id).await?;
    caller.note_escalation(&app, client_rules::may_rotate_secret(&caller.actor(), &client, overlap))?;
    let now: Timestamp = caller.info.now;
    let (owner, others_end_at) = (client.owner_id.clone(), now.plus_seconds(overlap));
    let (shown, kept) = new_secret(now);
    let made = MadeClient {
        made: client.into(),
        client_secret: Some(shown.expose().to_owned()),
        others_end_at: Some(others_end_at.rfc3339()),
    };
    let response = JsonResponse::created(&made)?;
    let done = guarded.store(&response)?.rotate_secret(now, caller.origin(), id, owner, kept, others_end_at).await;
    guarded.end(response, found(done, || Error::invalid_request("a public client has no secret"))).await
}

fn redirect_uris(texts: &[String]) -> Result<Vec<RedirectUri>, Error> {
    texts.iter().map(|text| RedirectUri::register(text)).collect()
}

async fn visible(app: &App, caller: &Caller, id: &str) -> Result<Record, Problem> {
    let is_theirs = |client: &Record| match &client.owner_id {
        Some(owner) => caller.sees(owner),
        None => caller.is_admin(),
    };
    Ok(app.store.find_client(id).await?.filter(is_theirs).ok_or_else(no_client)?)
}

fn no_client() -> Error {
    no_such("client (or it is an API's own)")
}
