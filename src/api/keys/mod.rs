//! Owns `/api/v1/keys`: what may be asked about keys and done with them. Does not make secrets; see `engine::apikey`. What a
//! caller may delegate is `engine::attenuation`.

mod body;

use std::sync::Arc;

use axum::{extract::State, response::Response};

use super::{
    auth::{Authorized, Caller, KeysRead, KeysWrite, no_such},
    idempotency::{Guarded, JsonResponse, found},
    page::{Page, Paging, page},
    path::Id,
    query::ListQuery,
};
use crate::{
    api::json::JsonBody,
    app::App,
    engine::{
        apikey::{self, LIFETIME_MAX_SECONDS, NewKey},
        attenuation,
    },
    http::{problem::Problem, reply},
    model::{
        error::{Error, ErrorCode},
        key::{ApiKey, KeyForm},
        network::Networks,
        project::Project,
        text,
    },
    store::{self, KeyChanges, Replacement},
};

pub use self::body::{ChangeKey, CreateKey, Key, KeyDetail, KeyFilter, MadeKey, Nothing, Place, Rotate};

/// Longest overlap of two keys, in seconds: a year.
const OVERLAP_MAX: i64 = 31_536_000;

/// List keys
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", params(KeyFilter, Paging),
    responses((status = 200, body = Page<Key>)), security(("bearer" = ["grantd:keys:read"])))]
pub async fn list(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysRead>,
    ListQuery { filter, paging }: ListQuery<KeyFilter>,
) -> Result<Response, Problem> {
    let now = caller.info.now;
    let project = caller.note_escalation(&app, attenuation::project(&caller.actor(), filter.project))?;
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
/// The answer shows the key, once. It has at most the scopes, the networks and the lifetime of the credential that makes it.
#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", request_body = CreateKey,
    responses((status = 201, body = MadeKey)), security(("bearer" = ["grantd:keys:write"])))]
pub async fn create(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateKey>,
) -> Result<Response, Problem> {
    let guarded = match Guarded::begin(&app, &caller, idempotency_key).await? {
        Ok(guarded) => guarded,
        Err(replayed) => return Ok(replayed),
    };
    caller.server_only("plan", sent.plan.is_some())?;
    let owner = caller.owner(&app, sent.user.as_deref()).await?;
    let scopes = app.catalog.current().choose_with_management(&sent.scopes)?;
    let project = match caller.note_escalation(&app, attenuation::project(&caller.actor(), sent.project))? {
        Some(id) => Some(own_project(&app, &caller, &id, &owner.id).await?),
        None => None,
    };
    let mut new = NewKey {
        environment: sent.environment,
        expires_in_seconds: sent.expires_in,
        project,
        plan: sent.plan,
        networks: networks(sent.networks)?.unwrap_or_default(),
        ..NewKey::of(&owner.id, sent.name.as_deref().unwrap_or("API key"), scopes)
    };
    let now = caller.info.now;
    caller.note_escalation(&app, attenuation::bound(&caller.actor(), now, &app.config, &mut new))?;
    let (secret, key) = apikey::make(now, &app.config, new)?;
    let shown = secret.expose().to_owned();
    let made = MadeKey { made: Key::of(now, key.clone()), key: shown, replaces: None, old_ends_at: None };
    let response = JsonResponse::created(&made)?;
    let form = key.form;
    let done = guarded.store(&response)?.insert_key(now, caller.origin(), secret.digest(), key).await;
    reload_catalog_if_needed(&app, form).await?;
    guarded.end(response, done.map_err(Into::into)).await
}

/// One key, with the places it was used from
#[utoipa::path(get, path = "/api/v1/keys/{id}", tag = "keys", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = KeyDetail)), security(("bearer" = ["grantd:keys:read"])))]
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
/// Its name, the networks it may be used from, and its end, which can only come sooner. A key that may be used from some
/// networks alone widens none.
#[utoipa::path(patch, path = "/api/v1/keys/{id}", tag = "keys", params(("id" = String, Path, format = "id")), request_body = ChangeKey,
    responses((status = 200, body = Key)), security(("bearer" = ["grantd:keys:write"])))]
pub async fn update(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<ChangeKey>,
) -> Result<Response, Problem> {
    let key = visible(&app, &caller, &id).await?;
    caller.note_escalation(&app, attenuation::reaches_key(&caller.actor(), &key))?;
    let now = caller.info.now;
    let expires_at = match sent.expires_in {
        Some(seconds) if seconds < 1 => {
            return Err(Error::invalid_request("expires_in is at least one second; to end a key now, revoke it").into());
        }
        Some(seconds) if seconds > LIFETIME_MAX_SECONDS => {
            return Err(Error::invalid_request("a key lives ten years at most").into());
        }
        Some(seconds) => Some(now.plus_seconds(seconds)),
        None => None,
    };
    if expires_at.zip(key.expires_at).is_some_and(|(new, old)| new > old) {
        return Err(Error::invalid_request("a key's end can only come sooner: make a new key").into());
    }
    let networks = networks(sent.networks)?;
    if let Some(networks) = &networks {
        caller.note_escalation(&app, attenuation::within(&caller.actor(), networks))?;
    }
    let name = sent.name.map(|name| text::name("the key's name", &name)).transpose()?;
    let changes = KeyChanges { name, networks, expires_at };
    if !app.store.update_key(now, caller.origin(), id.clone(), changes).await? {
        return Err(has_ended());
    }
    Ok(reply::json(&Key::of(now, visible(&app, &caller, &id).await?)))
}

/// Revoke a key at once
#[utoipa::path(post, path = "/api/v1/keys/{id}/revoke", tag = "keys", params(("id" = String, Path, format = "id")), request_body = Nothing,
    responses((status = 200, body = Key)), security(("bearer" = ["grantd:keys:write"])))]
pub async fn revoke(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    Id(id): Id,
    JsonBody { idempotency_key, .. }: JsonBody<Nothing>,
) -> Result<Response, Problem> {
    let guarded = match Guarded::begin(&app, &caller, idempotency_key).await? {
        Ok(guarded) => guarded,
        Err(replayed) => return Ok(replayed),
    };
    let (key, now) = (visible(&app, &caller, &id).await?, caller.info.now);
    caller.note_escalation(&app, attenuation::reaches_key(&caller.actor(), &key))?;
    let response = JsonResponse::done(&Key::of(now, ApiKey { revoked_at: key.revoked_at.or(Some(now)), ..key }))?;
    let done = guarded.store(&response)?.revoke_key(now, caller.origin(), id, None).await;
    guarded.end(response, found(done, || no_such("key"))).await
}

/// Rotate a key: a new one like it, and the old one still works for a while
#[utoipa::path(post, path = "/api/v1/keys/{id}/rotate", tag = "keys", params(("id" = String, Path, format = "id")), request_body = Rotate,
    responses((status = 201, body = MadeKey)), security(("bearer" = ["grantd:keys:write"])))]
pub async fn rotate(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    Id(id): Id,
    JsonBody { value: sent, idempotency_key }: JsonBody<Rotate>,
) -> Result<Response, Problem> {
    let overlap = sent.overlap.unwrap_or(86_400);
    if !(0..=OVERLAP_MAX).contains(&overlap) {
        return Err(Error::invalid_request("overlap is 0 to 31536000 seconds").into());
    }
    let guarded = match Guarded::begin(&app, &caller, idempotency_key).await? {
        Ok(guarded) => guarded,
        Err(replayed) => return Ok(replayed),
    };
    replace(&app, &caller, guarded, &id, overlap).await
}

/// Regenerate a key: a new one like it, and the old one ends at once
#[utoipa::path(post, path = "/api/v1/keys/{id}/regenerate", tag = "keys", params(("id" = String, Path, format = "id")), request_body = Nothing,
    responses((status = 201, body = MadeKey)), security(("bearer" = ["grantd:keys:write"])))]
pub async fn regenerate(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<KeysWrite>,
    Id(id): Id,
    JsonBody { idempotency_key, .. }: JsonBody<Nothing>,
) -> Result<Response, Problem> {
    let guarded = match Guarded::begin(&app, &caller, idempotency_key).await? {
        Ok(guarded) => guarded,
        Err(replayed) => return Ok(replayed),
    };
    replace(&app, &caller, guarded, &id, 0).await
}

async fn replace(
    app: &App,
    caller: &Caller,
    guarded: Guarded<'_>,
    id: &str,
    overlap: i64,
) -> Result<Response, Problem> {
    let (old, now) = (visible(app, caller, id).await?, caller.info.now);
    let project = match &old.project_id {
        Some(project) => app.store.find_project(project).await?,
        None => None,
    };
    caller.note_escalation(app, attenuation::reaches_key(&caller.actor(), &old))?;
    let mut new = NewKey::like(&old, project);
    caller.note_escalation(app, attenuation::bound_successor(&caller.actor(), now, &app.config, id, &mut new))?;
    let (secret, new) = apikey::make(now, &app.config, new)?;
    let old_ends_at = (overlap > 0).then(|| now.plus_seconds(overlap));
    let made = MadeKey {
        made: Key::of(now, new.clone()),
        key: secret.expose().to_owned(),
        replaces: Some(old.id.clone()),
        old_ends_at: Some(old_ends_at.unwrap_or(now).rfc3339()),
    };
    let form = new.form;
    let replacement = Replacement { old_id: old.id, old_ends_at, user_id: None, digest: secret.digest(), new };
    let response = JsonResponse::created(&made)?;
    let done = match guarded.store(&response)?.replace_key(now, caller.origin(), replacement).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(has_ended()),
        Err(error) => Err(error.into()),
    };
    reload_catalog_if_needed(app, form).await?;
    guarded.end(response, done).await
}

/// The first key of a form that any text may have changes what is looked up: on this node at once.
async fn reload_catalog_if_needed(app: &App, form: KeyForm) -> Result<(), Problem> {
    if form != KeyForm::Prefixed && !app.catalog.current().has_opaque_keys {
        app.catalog.reload().await?;
    }
    Ok(())
}

/// The key with this id, if the caller may see it with the credential it came with.
pub(super) async fn within_reach(app: &App, caller: &Caller, id: &str) -> Result<ApiKey, Problem> {
    let key = visible(app, caller, id).await?;
    caller.note_escalation(app, attenuation::reaches_project(&caller.actor(), key.project_id.as_deref()))?;
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

/// The project of this id, if it is the owner's.
async fn own_project(app: &App, caller: &Caller, id: &str, owner: &str) -> Result<Project, Problem> {
    let project = visible_project(app, caller, id).await?.filter(|project| project.user_id == owner);
    Ok(project.ok_or_else(|| Error::invalid_request("there is no such project"))?)
}

fn networks(list: Option<Vec<String>>) -> Result<Option<Networks>, Error> {
    list.map(|list| Networks::of(&list)).transpose()
}

fn has_ended() -> Problem {
    Error::new(ErrorCode::Conflict, "this key has ended: make a new one").into()
}
