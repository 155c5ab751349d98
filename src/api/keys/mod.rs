//! Owns `/api/v1/keys`: requests and responses. The work is done in `engine::keys`.

mod body;

use std::sync::Arc;

use axum::{extract::State, response::Response};

use super::{
    auth::{Authorized, Caller, KeysRead, KeysWrite, no_such},
    idempotency::Idempotent,
    page::{Page, Paging, page},
    path::Id,
    query::ListQuery,
};
use crate::{
    api::json::JsonBody,
    app::App,
    engine::{
        keys::{self, Created, KeyUpdate},
        new_key::NewKey,
    },
    http::{problem::Problem, reply},
    model::{
        error::{Error, ErrorCode},
        key::ApiKey,
        network::Networks,
        policy,
        project::Project,
        secret::Digest,
    },
    store,
};

pub use self::body::{ChangeKey, CreateKey, Key, KeyDetail, KeyFilter, MadeKey, Nothing, Place, Rotate};

/// List keys
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", params(KeyFilter, Paging),
    responses((status = 200, body = Page<Key>)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysRead>,
    ListQuery { filter, paging }: ListQuery<KeyFilter>,
) -> Result<Response, Problem> {
    let now = caller.info.now;
    let project = caller.note_escalation(&app, caller.bounds().choose_project(filter.project))?;
    let user = caller.owner_filter(&app, filter.user.as_deref()).await?;
    if let Some(project) = &project {
        visible_project(&app, &caller, project).await?.ok_or_else(|| no_such("project"))?;
    }
    let filter = store::KeyFilter {
        user: user.as_deref(),
        project: project.as_deref(),
        environment: filter.environment.as_deref(),
        status: filter.status,
    };
    let read = |after, limit| app.store.keys_after(now, filter, after, limit);
    Ok(reply::json(&page(&app, "keys", &paging, read, |key| Key::of(now, key)).await?))
}

/// Create a key
///
/// The response shows the key; it is not shown again. A key has at most the scopes, networks and lifetime of the
/// credential that creates it.
#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", request_body = CreateKey,
    responses((status = 201, body = MadeKey)))]
pub async fn create(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateKey>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let work = async {
        let new = sent.parse(&app, &caller).await?;
        let along = |made: &Created| once.created(&MadeKey::of(caller.info.now, made));
        caller.note_escalation(&app, keys::create(app.engine(), caller.act(), &caller.bounds(), new, along).await)
    };
    once.run(work).await
}

impl CreateKey {
    async fn parse(self, app: &App, caller: &Caller) -> Result<NewKey, Problem> {
        caller.server_only("plan", self.plan.is_some())?;
        let owner = caller.owner(app, self.user.as_deref()).await?;
        let scopes = app.catalog.current().choose_with_management(&self.scopes)?;
        let project = match caller.note_escalation(app, caller.bounds().choose_project(self.project))? {
            Some(id) => Some(own_project(app, caller, &id, &owner.id).await?),
            None => None,
        };
        Ok(NewKey {
            environment: self.environment,
            expires_in_seconds: self.expires_in,
            project,
            plan: self.plan,
            networks: networks(self.networks)?.unwrap_or_default(),
            ..NewKey::of(&owner.id, self.name.as_deref().unwrap_or("API key"), scopes)
        })
    }
}

/// One key, with the places it was used from
#[utoipa::path(get, path = "/api/v1/keys/{id}", tag = "keys", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = KeyDetail)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysRead>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let key = within_reach(&app, &caller, &id).await?;
    let places = app.store.key_networks(&id).await?;
    let seen_from = places.into_iter().map(|(network, at)| Place { network, first_seen: at.rfc3339() }).collect();
    Ok(reply::json(&KeyDetail { key: Key::of(caller.info.now, key), seen_from }))
}

/// Change a key
///
/// Its name, its networks, and its expiry, which can only be made earlier. A key that is limited to networks cannot
/// widen them.
#[utoipa::path(patch, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, format = "id")), request_body = ChangeKey,
    responses((status = 200, body = Key)))]
pub async fn update(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<ChangeKey>,
) -> Result<Response, Problem> {
    let key = visible(&app, &caller, &id).await?;
    let to = KeyUpdate { name: sent.name, networks: networks(sent.networks)?, expires_in: sent.expires_in };
    let changed = keys::update(app.engine(), caller.act(), &caller.bounds(), &key, to).await;
    let changed = caller.note_escalation(&app, changed)?.ok_or_else(has_ended)?;
    Ok(reply::json(&Key::of(caller.info.now, changed)))
}

/// Revoke a key immediately
#[utoipa::path(post, path = "/api/v1/keys/{id}/revoke", tag = "keys",
    params(("id" = String, Path, format = "id")), request_body = Nothing,
    responses((status = 200, body = Key)))]
pub async fn revoke(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    Id(id): Id,
    JsonBody { idempotency_key, .. }: JsonBody<Nothing>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let work = async {
        let key = visible(&app, &caller, &id).await?;
        let along = |revoked: &ApiKey| once.done(&Key::of(caller.info.now, revoked.clone()));
        let revoked = keys::revoke(app.engine(), caller.act(), &caller.bounds(), key, along).await;
        Ok(caller.note_escalation(&app, revoked)?.ok_or_else(|| no_such("key"))?)
    };
    once.run(work).await
}

/// Rotate a key: replace it by a new one like it; the old one keeps working for a while
#[utoipa::path(post, path = "/api/v1/keys/{id}/rotate", tag = "keys",
    params(("id" = String, Path, format = "id")), request_body = Rotate,
    responses((status = 201, body = MadeKey)))]
pub async fn rotate(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    Id(id): Id,
    JsonBody { value: sent, idempotency_key }: JsonBody<Rotate>,
) -> Result<Response, Problem> {
    replace(&app, &caller, idempotency_key, &id, sent.overlap.unwrap_or(policy::OVERLAP)).await
}

/// Regenerate a key: replace it by a new one like it; the old one stops working immediately
#[utoipa::path(post, path = "/api/v1/keys/{id}/regenerate", tag = "keys",
    params(("id" = String, Path, format = "id")), request_body = Nothing,
    responses((status = 201, body = MadeKey)))]
pub async fn regenerate(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    Id(id): Id,
    JsonBody { idempotency_key, .. }: JsonBody<Nothing>,
) -> Result<Response, Problem> {
    replace(&app, &caller, idempotency_key, &id, 0).await
}

async fn replace(
    app: &App,
    caller: &Caller,
    idempotency_key: Option<(String, Digest)>,
    id: &str,
    overlap: i64,
) -> Result<Response, Problem> {
    let once = Idempotent::of(app, caller, idempotency_key);
    let work = async {
        let old = visible(app, caller, id).await?;
        let along = |made: &Created| once.created(&MadeKey::of(caller.info.now, made));
        let made = keys::replace(app.engine(), caller.act(), &caller.bounds(), &old, (None, overlap), along).await;
        caller.note_escalation(app, made)?.ok_or_else(has_ended)
    };
    once.run(work).await
}

/// The key with this id, if the caller may see it with the credential used.
pub(super) async fn within_reach(app: &App, caller: &Caller, id: &str) -> Result<ApiKey, Problem> {
    let key = visible(app, caller, id).await?;
    caller.note_escalation(app, caller.bounds().reaches_project(key.project_id.as_deref()))?;
    Ok(key)
}

/// The key with this id, if the caller's user may see it.
async fn visible(app: &App, caller: &Caller, id: &str) -> Result<ApiKey, Problem> {
    let key = app.store.find_key(id).await?.filter(|key| caller.sees(&key.user_id));
    Ok(key.ok_or_else(|| no_such("key"))?)
}

async fn visible_project(app: &App, caller: &Caller, id: &str) -> Result<Option<Project>, Problem> {
    Ok(app.store.find_project(id).await?.filter(|project| caller.sees(&project.user_id)))
}

/// The project with this id, if it is the owner's.
async fn own_project(app: &App, caller: &Caller, id: &str, owner: &str) -> Result<Project, Problem> {
    let project = visible_project(app, caller, id).await?.filter(|project| project.user_id == owner);
    Ok(project.ok_or_else(|| Error::no_such("project"))?)
}

fn networks(list: Option<Vec<String>>) -> Result<Option<Networks>, Error> {
    list.map(|list| Networks::of(&list)).transpose()
}

fn has_ended() -> Problem {
    Error::new(ErrorCode::Conflict, "this key has expired or was revoked; create a new one").into()
}
