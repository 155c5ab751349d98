//! Owns `/api/v1/clients`: one's own OAuth clients, or all of them for administrators. The work is done in
//! `engine::clients`; `engine::client_rules` decides who may change what.

mod body;

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    auth::{Authorized, Caller, ClientsRead, ClientsWrite, no_such},
    idempotency::Idempotent,
    page::{Page, Paging, page},
    path::Id,
    query::ListQuery,
};
use crate::{
    api::json::JsonBody,
    app::App,
    engine::clients::{self, WithSecret},
    http::{problem::Problem, reply},
    model::{
        audit::Act,
        client::{AuthMethod, Client as Record, ClientType, GrantType},
        error::Error,
        redirect_uri::RedirectUri,
        text,
    },
    store::ClientChanges,
};

pub use self::body::{ChangeClient, Client, ClientFilter, CreateClient, MadeClient, RotateSecret};

/// List clients
#[utoipa::path(get, path = "/api/v1/clients", tag = "clients", params(ClientFilter, Paging),
    responses((status = 200, body = Page<Client>)))]
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
/// The response shows the secret of a confidential client. It is not shown again.
#[utoipa::path(post, path = "/api/v1/clients", tag = "clients", request_body = CreateClient,
    responses((status = 201, body = MadeClient)))]
pub async fn create(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ClientsWrite>,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateClient>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let work = async {
        let client = sent.parse(&app, &caller).await?;
        let along = |made: &WithSecret| once.created(&MadeClient::of(made));
        caller
            .note_escalation(&app, clients::register(app.engine(), caller.act(), &caller.bounds(), client, along).await)
    };
    once.run(work).await
}

impl CreateClient {
    async fn parse(self, app: &App, caller: &Caller) -> Result<Record, Problem> {
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
        let words = |what: &str| Error::invalid_request(format!("unknown {what}"));
        let kind = match &self.r#type {
            Some(text) => ClientType::parse(text).ok_or_else(|| words("type"))?,
            None => ClientType::Confidential,
        };
        let grant_types = match self.grant_types {
            Some(given) => given
                .iter()
                .map(|text| GrantType::parse(text).ok_or_else(|| words("grant type")))
                .collect::<Result<Vec<_>, _>>()?,
            None => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        };
        let method =
            self.auth_method.map(|text| AuthMethod::parse(&text).ok_or_else(|| words("auth_method"))).transpose()?;
        let usual = Record::new(caller.info.now, text::name("the name", &self.name)?, kind);
        Ok(Record {
            owner_id,
            auth_methods: method.map_or(usual.auth_methods, |method| vec![method]),
            redirect_uris: redirect_uris(&self.redirect_uris)?,
            grant_types,
            scopes: app.catalog.current().choose_with_management(&self.scopes)?,
            first_party: self.first_party.unwrap_or(usual.first_party),
            require_pkce: self.require_pkce.unwrap_or(usual.require_pkce),
            refresh_grace_ms: self.refresh_grace.map_or(usual.refresh_grace_ms, |seconds| seconds.saturating_mul(1000)),
            ..usual
        })
    }
}

/// One client
#[utoipa::path(get, path = "/api/v1/clients/{id}", tag = "clients", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = Client)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ClientsRead>,
    Id(id): Id,
) -> Result<Response, Problem> {
    Ok(reply::json(&Client::from(visible(&app, &caller, &id).await?)))
}

/// Change a client
///
/// If a redirect URI is removed, codes already sent to it are revoked.
#[utoipa::path(patch, path = "/api/v1/clients/{id}", tag = "clients", params(("id" = String, Path, format = "id")),
    request_body = ChangeClient, responses((status = 200, body = Client)))]
pub async fn update(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ClientsWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<ChangeClient>,
) -> Result<Response, Problem> {
    caller.server_only("active", sent.active.is_some())?;
    let old = visible(&app, &caller, &id).await?;
    let to = ClientChanges {
        name: sent.name.map(|name| text::name("the name", &name)).transpose()?,
        redirect_uris: sent.redirect_uris.as_deref().map(redirect_uris).transpose()?,
        scopes: sent.scopes.map(|names| app.catalog.current().choose_with_management(&names)).transpose()?,
        allowed_for: None,
    };
    let changed = clients::update(app.engine(), caller.act(), &caller.bounds(), &old, (to, sent.active)).await;
    Ok(reply::json(&Client::from(caller.note_escalation(&app, changed)?.ok_or_else(no_client)?)))
}

/// Delete a client and everything issued to it
#[utoipa::path(delete, path = "/api/v1/clients/{id}", tag = "clients", params(("id" = String, Path, format = "id")),
    responses((status = 204, description = "Deleted")))]
pub async fn delete(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ClientsWrite>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let client = visible(&app, &caller, &id).await?;
    let Act { now, origin } = caller.act();
    if !app.store.delete_client(now, origin, id, client.owner_id).await? {
        return Err(no_client().into());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Create a new secret; the old ones keep working for a while
#[utoipa::path(post, path = "/api/v1/clients/{id}/secret", tag = "clients",
    params(("id" = String, Path, format = "id")),
    request_body = RotateSecret, responses((status = 201, body = MadeClient)))]
pub async fn rotate_secret(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<ClientsWrite>,
    Id(id): Id,
    JsonBody { value: sent, idempotency_key }: JsonBody<RotateSecret>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let work = async {
        let client = visible(&app, &caller, &id).await?;
        let how = (None, sent.overlap.unwrap_or(86_400));
        let along = |made: &WithSecret| once.created(&MadeClient::of(made));
        let made = clients::rotate_secret(app.engine(), caller.act(), &caller.bounds(), client, how, along).await;
        Ok(caller
            .note_escalation(&app, made)?
            .ok_or_else(|| Error::invalid_request("a public client has no secret"))?)
    };
    once.run(work).await
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
