//! Owns `/api/v1/apis`, for administrators, and `/api/v1/scopes`.

mod body;
mod rule_body;
pub mod rules;

use std::sync::Arc;

use axum::{extract::State, response::Response};

use super::{
    auth::{Admin, ApisRead, ApisWrite, Authorized, CatalogRead, no_such},
    idempotency::Idempotent,
    page::{Page, Paging, cut},
    path::Id,
    query::{ListQuery, NoFilter},
};
use crate::{
    api::json::JsonBody,
    app::App,
    engine::{
        apis::{self, RegisteredApi},
        profiles,
    },
    http::{problem::Problem, reply},
    model::{
        api::{Algorithm, Api as Record, ApiScope},
        error::Error,
        policy::{ACCESS_TOKEN_BOUNDS, ACCESS_TOKEN_SECONDS},
        profile::{DEFAULT, Dialect},
        secret::new_id,
        text,
    },
};

pub use self::body::{Api, CreateApi, CreateScope, ListedScope, MadeApi, Scope};

/// List APIs
#[utoipa::path(get, path = "/api/v1/apis", tag = "apis", params(Paging),
    responses((status = 200, body = Page<Api>)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Admin(..): Admin<ApisRead>,
    ListQuery { paging, .. }: ListQuery<NoFilter>,
) -> Result<Response, Problem> {
    let all: Vec<Api> = app.catalog.current().apis.iter().map(Into::into).collect();
    Ok(reply::json(&cut(&app, "apis", &paging, all, |api| api.id.clone())?))
}

/// Register an API
///
/// The response shows the secret of its resource server. It is not shown again.
#[utoipa::path(post, path = "/api/v1/apis", tag = "apis", request_body = CreateApi,
    responses((status = 201, body = MadeApi)))]
pub async fn create(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisWrite>,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateApi>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let work = async {
        let profile = profiles::named(app.engine(), sent.profile.as_deref().unwrap_or(DEFAULT)).await?;
        let api = sent.parse(&app, profile.dialect)?;
        let along = |made: &RegisteredApi| {
            once.created(&MadeApi { made: (&made.api).into(), client_secret: made.secret.expose().to_owned() })
        };
        caller.note_escalation(&app, apis::register(app.engine(), caller.act(), &caller.bounds(), api, along).await)
    };
    once.run(work).await
}

impl CreateApi {
    fn parse(self, app: &App, profile: Arc<Dialect>) -> Result<Record, Error> {
        let name = text::name("the name", &self.name)?;
        let wrong = |what: &str| Error::invalid_request(format!("unknown {what}"));
        let seconds = self.access_token_seconds.unwrap_or(ACCESS_TOKEN_SECONDS);
        if !ACCESS_TOKEN_BOUNDS.contains(&seconds) {
            return Err(Error::invalid_request("access_token_seconds must be 10 to 86400"));
        }
        let scopes = self.scopes.iter().map(|scope| apis::scope(&scope.name, &scope.description));
        Ok(Record {
            id: new_id("api"),
            slug: match &self.slug {
                Some(slug) if apis::slug(slug)? == *slug => slug.clone(),
                Some(_) => {
                    return Err(Error::invalid_request("slug must have 1 to 60 lower-case letters, digits and dashes"));
                }
                None => apis::slug(&name)?,
            },
            identifier: apis::identifier(&app.config.issuer, self.identifier)?,
            profile,
            algorithm: match &self.algorithm {
                Some(text) => Algorithm::parse(text).ok_or_else(|| wrong("algorithm"))?,
                None => Algorithm::default(),
            },
            access_token_seconds: seconds,
            client_id: String::new(),
            counts_introspection: self.counts_introspection,
            scopes: scopes.collect::<Result<_, _>>()?,
            rules: Arc::default(),
            name,
        })
    }
}

/// One API, by id or slug
#[utoipa::path(get, path = "/api/v1/apis/{id}", tag = "apis", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = Api)))]
pub async fn get(State(app): State<Arc<App>>, Admin(..): Admin<ApisRead>, Id(id): Id) -> Result<Response, Problem> {
    Ok(reply::json(&Api::from(&find(&app, &id)?)))
}

/// List scopes that a key or client may have
#[utoipa::path(get, path = "/api/v1/scopes", tag = "apis", params(Paging),
    responses((status = 200, body = Page<ListedScope>)))]
pub async fn scopes(
    State(app): State<Arc<App>>,
    Authorized(..): Authorized<CatalogRead>,
    ListQuery { paging, .. }: ListQuery<NoFilter>,
) -> Result<Response, Problem> {
    let catalog = app.catalog.current();
    let of = |api: &Record| {
        let listed = |scope: &ApiScope| ListedScope {
            name: scope.name.clone(),
            description: scope.description.clone(),
            api: api.slug.clone(),
        };
        api.scopes.iter().map(listed).collect::<Vec<_>>()
    };
    let all = catalog.every().flat_map(of).collect();
    Ok(reply::json(&cut(&app, "scopes", &paging, all, |listed| listed.name.clone())?))
}

/// The API with this id or slug.
pub(super) fn find(app: &App, id: &str) -> Result<Record, Error> {
    let catalog = app.catalog.current();
    let found = catalog.apis.iter().find(|api| api.id == id || api.slug == id);
    found.cloned().ok_or_else(|| no_such("API"))
}
