//! Owns `/api/v1/profiles`, and which one an API has, for administrators. Does not validate them; see
//! `model::profile`.

mod body;
pub mod trial;

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    apis::{Api, find},
    auth::{Admin, ApisRead, ApisWrite},
    idempotency::Idempotent,
    json::JsonBody,
    page::{Page, Paging, cut},
    path::Id,
    query::{ListQuery, NoFilter},
};
use crate::{
    app::App,
    engine::profiles::{self, KnownProfile},
    http::{problem::Problem, reply},
    model::error::Error,
};

pub use self::{
    body::{AssignProfile, CreateProfile, Profile, SetProfile},
    trial::{Answer, Header, Trial},
};

/// List profiles, by name
#[utoipa::path(get, path = "/api/v1/profiles", tag = "apis", params(Paging),
    responses((status = 200, body = Page<Profile>)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Admin(..): Admin<ApisRead>,
    ListQuery { paging, .. }: ListQuery<NoFilter>,
) -> Result<Response, Problem> {
    let all: Vec<Profile> = profiles::list(app.engine()).await?.iter().map(Into::into).collect();
    Ok(reply::json(&cut(&app, "profiles", &paging, all, |profile| profile.name.clone())?))
}

/// One profile
#[utoipa::path(get, path = "/api/v1/profiles/{id}", tag = "apis", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = Profile)))]
pub async fn get(State(app): State<Arc<App>>, Admin(..): Admin<ApisRead>, Id(id): Id) -> Result<Response, Problem> {
    Ok(reply::json(&Profile::from(&profiles::find(app.engine(), &id).await?)))
}

/// Create a profile from a definition, or as a copy
///
/// An invalid definition is refused, with the line and what would be valid.
#[utoipa::path(post, path = "/api/v1/profiles", tag = "apis", request_body = CreateProfile,
    responses((status = 201, body = Profile)))]
pub async fn create(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisWrite>,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateProfile>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let work = async {
        let CreateProfile { name, definition, copy_of } = sent;
        let definition = match (definition, copy_of) {
            (Some(definition), None) => definition,
            (None, Some(original)) => profiles::named(app.engine(), &original).await?.definition,
            _ => return Err(Error::invalid_request("send either definition or copy_of").into()),
        };
        let along = |created: &KnownProfile| once.created(&Profile::from(created));
        Ok(profiles::create(app.engine(), caller.act(), &name, definition, along).await?)
    };
    once.run(work).await
}

/// Change a profile
///
/// It applies to every API that uses the profile within a second, on every node. With `revision`, only that revision is changed.
#[utoipa::path(put, path = "/api/v1/profiles/{id}", tag = "apis", params(("id" = String, Path, format = "id")),
    request_body = SetProfile, responses((status = 200, body = Profile), (status = 409)))]
pub async fn set(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<SetProfile>,
) -> Result<Response, Problem> {
    let changed = profiles::update(app.engine(), caller.act(), &id, sent.definition, sent.revision).await?;
    Ok(reply::json(&Profile::from(&changed)))
}

/// Assign a profile to an API
///
/// It takes effect within a second, on every node.
#[utoipa::path(put, path = "/api/v1/apis/{id}/profile", tag = "apis", params(("id" = String, Path, format = "id")),
    request_body = AssignProfile, responses((status = 200, body = Api)))]
pub async fn assign(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<AssignProfile>,
) -> Result<Response, Problem> {
    let api = find(&app, &id)?;
    profiles::assign(app.engine(), caller.act(), &api.id, &sent.profile).await?;
    Ok(reply::json(&Api::from(&find(&app, &id)?)))
}

/// Delete a profile that no API uses
#[utoipa::path(delete, path = "/api/v1/profiles/{id}", tag = "apis", params(("id" = String, Path, format = "id")),
    responses((status = 204, description = "It was deleted"), (status = 409)))]
pub async fn delete(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisWrite>,
    Id(id): Id,
) -> Result<Response, Problem> {
    profiles::delete(app.engine(), caller.act(), &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
