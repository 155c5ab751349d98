//! Owns `/api/v1/apis` with their rules, for administrators, and `/api/v1/scopes`.

mod body;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};

use super::{
    auth::{Admin, ApisRead, ApisWrite, Authorized, CatalogRead, no_such},
    idempotency::Idempotent,
    page::{Page, Paging, cut},
    path::{Id, Ids},
    query::{ListQuery, NoFilter, Query},
};
use crate::{
    api::json::JsonBody,
    app::App,
    engine::apis::{self, RegisteredApi},
    http::{problem::Problem, reply},
    model::{
        api::{Algorithm, Api as Record, ApiScope},
        audit::Act,
        error::Error,
        policy::{ACCESS_TOKEN_BOUNDS, ACCESS_TOKEN_SECONDS},
        profile::Profile,
        rule::{self, is_pattern},
        scope::Scopes,
        secret::new_id,
        text,
    },
    store::RulePlace,
};

pub use self::body::{Api, CreateApi, CreateRule, CreateScope, ListedScope, MadeApi, Rule, Scope};

/// Longest method of a rule, in characters.
const METHOD_MAX: usize = 20;

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
        let api = sent.parse(&app)?;
        let along = |made: &RegisteredApi| {
            once.created(&MadeApi { made: (&made.api).into(), client_secret: made.secret.expose().to_owned() })
        };
        caller.note_escalation(&app, apis::register(app.engine(), caller.act(), &caller.bounds(), api, along).await)
    };
    once.run(work).await
}

impl CreateApi {
    fn parse(self, app: &App) -> Result<Record, Error> {
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
            profile: match &self.profile {
                Some(text) => Profile::parse(text).ok_or_else(|| wrong("profile"))?,
                None => Profile::default(),
            },
            algorithm: match &self.algorithm {
                Some(text) => Algorithm::parse(text).ok_or_else(|| wrong("algorithm"))?,
                None => Algorithm::default(),
            },
            access_token_seconds: seconds,
            client_id: String::new(),
            counts_introspection: self.counts_introspection,
            scopes: scopes.collect::<Result<_, _>>()?,
            rules: Vec::new(),
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

/// List an API's rules, in the order they are evaluated
#[utoipa::path(get, path = "/api/v1/apis/{id}/routes", tag = "apis", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = Page<Rule>)))]
pub async fn routes(State(app): State<Arc<App>>, Admin(..): Admin<ApisRead>, Id(id): Id) -> Result<Response, Problem> {
    let items: Vec<Rule> = find(&app, &id)?.rules.iter().map(Into::into).collect();
    Ok(reply::json(&Page { items, next: None }))
}

/// Add a rule, after the others or before one of them
#[utoipa::path(post, path = "/api/v1/apis/{id}/routes", tag = "apis", params(("id" = String, Path, format = "id")),
    request_body = CreateRule, responses((status = 201, body = Rule)))]
pub async fn add_route(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisWrite>,
    Id(id): Id,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateRule>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let work = async {
        let api = find(&app, &id)?;
        let place = sent.place()?;
        let rule = (sent.parse(&app, &api)?, place);
        Ok(apis::add_rule(app.engine(), caller.act(), api.id, rule, |rule| once.created(&Rule::from(rule))).await?)
    };
    once.run(work).await
}

impl CreateRule {
    fn place(&self) -> Result<RulePlace, Error> {
        match (&self.before, self.first) {
            (Some(_), true) => Err(Error::invalid_request("first and before cannot be combined")),
            (Some(id), false) => Ok(RulePlace::Before(id.clone())),
            (None, true) => Ok(RulePlace::First),
            (None, false) => Ok(RulePlace::Last),
        }
    }

    fn parse(self, app: &App, api: &Record) -> Result<rule::Rule, Error> {
        let method = self.method.as_deref().unwrap_or("*").to_ascii_uppercase();
        let is_word = (1..=METHOD_MAX).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase());
        if method != "*" && !is_word {
            return Err(Error::invalid_request("method must be an HTTP method, such as GET, or *"));
        }
        if !is_pattern(&self.path) {
            return Err(Error::invalid_request(
                "path must be like /v1/users/{id} or /v1/files/*, without dot segments or escapes",
            ));
        }
        if self.public && !self.scopes.is_empty() {
            return Err(Error::invalid_request("a public rule cannot require scopes"));
        }
        let scopes =
            if self.scopes.is_empty() { Scopes::default() } else { app.catalog.current().choose(&self.scopes)? };
        if scopes.iter().any(|name| !api.scopes.iter().any(|scope| scope.name == name)) {
            return Err(Error::invalid_scope("a rule can only require scopes of its own API"));
        }
        Ok(rule::Rule { id: new_id("route"), method, pattern: self.path, scopes, public: self.public })
    }
}

/// Remove a rule
///
/// Without rules, every credential for an API may call every path, so its last rule is only removed with `open=yes`.
#[utoipa::path(delete, path = "/api/v1/apis/{id}/routes/{route}", tag = "apis",
    params(("id" = String, Path, format = "id"), ("route" = String, Path, format = "id"),
        ("open" = Option<String>, Query, format = "yes")),
    responses((status = 204, description = "Removed"), (status = 409)))]
pub async fn remove_route(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisWrite>,
    Ids(id, route): Ids,
    uri: Uri,
) -> Result<Response, Problem> {
    let open = Query::parse(&uri, &["open"])?.one_of("open", &["yes"])?.is_some();
    if !find(&app, &id)?.rules.iter().any(|rule| rule.id == route) {
        return Err(no_such("rule").into());
    }
    let Act { now, origin } = caller.act();
    if !app.store.delete_rule(now, origin, route, open).await? {
        return Err(no_such("rule").into());
    }
    app.catalog.reload().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
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
    let all = catalog.apis.iter().chain(&catalog.management_api).flat_map(of).collect();
    Ok(reply::json(&cut(&app, "scopes", &paging, all, |listed| listed.name.clone())?))
}

fn find(app: &App, id: &str) -> Result<Record, Error> {
    let catalog = app.catalog.current();
    let found = catalog.apis.iter().find(|api| api.id == id || api.slug == id);
    found.cloned().ok_or_else(|| no_such("API"))
}
