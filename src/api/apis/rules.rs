//! Owns `/api/v1/apis/{id}/routes`, for administrators: the rules of an API. Does not decide; see `engine::rules`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};

use super::{
    super::{
        auth::{Admin, ApisRead, ApisWrite, no_such},
        idempotency::Idempotent,
        json::JsonBody,
        page::Page,
        path::{Id, IdAndQuery, Ids},
        query::Query,
    },
    find,
    rule_body::{CreateRule, NewRule, ReplaceRules, Rule, RulesReplaced, TestedRequest},
};
use crate::{
    app::App,
    engine::{apis, rules},
    http::{problem::Problem, reply},
    model::{api::Api, audit::Act, error::Error, rule, scope::Scopes},
    store::{NewRules, RulePlace},
};

/// Largest list of rules that is read, in bytes.
pub const RULES_BYTES_MAX: usize = 8 << 20;

/// List an API's rules, in the order they are evaluated
#[utoipa::path(get, path = "/api/v1/apis/{id}/routes", tag = "apis", params(("id" = String, Path, format = "id")),
    responses((status = 200, body = Page<Rule>)))]
pub async fn list(State(app): State<Arc<App>>, Admin(..): Admin<ApisRead>, Id(id): Id) -> Result<Response, Problem> {
    let items: Vec<Rule> = find(&app, &id)?.rules.iter().map(Into::into).collect();
    Ok(reply::json(&Page { items, next: None }))
}

/// Add a rule, after the others or before one of them
#[utoipa::path(post, path = "/api/v1/apis/{id}/routes", tag = "apis", params(("id" = String, Path, format = "id")),
    request_body = CreateRule, responses((status = 201, body = Rule)))]
pub async fn add(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisWrite>,
    Id(id): Id,
    JsonBody { value: sent, idempotency_key }: JsonBody<CreateRule>,
) -> Result<Response, Problem> {
    let once = Idempotent::of(&app, &caller, idempotency_key);
    let work = async {
        let api = find(&app, &id)?;
        let place = sent.place()?;
        let rule = (sent.parse(&app)?, place);
        Ok(rules::add(app.engine(), caller.act(), &api, rule, |rule| once.created(&Rule::from(rule))).await?)
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

    fn parse(self, app: &App) -> Result<rule::Rule, Error> {
        let scopes =
            if self.scopes.is_empty() { Scopes::default() } else { app.catalog.current().choose(&self.scopes)? };
        rules::rule(self.method.as_deref(), self.path, scopes, self.public)
    }
}

/// Replace all rules of an API
///
/// They take the place of the ones before in one transaction. The answer says what that changes; with `dry_run`, nothing
/// is changed. A rule with the method and path of one before keeps its id.
#[utoipa::path(put, path = "/api/v1/apis/{id}/routes", tag = "apis", params(("id" = String, Path, format = "id")),
    request_body = ReplaceRules, responses((status = 200, body = RulesReplaced), (status = 409)))]
pub async fn replace(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisWrite>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<ReplaceRules, RULES_BYTES_MAX>,
) -> Result<Response, Problem> {
    let api = find(&app, &id)?;
    let is_dry_run = sent.dry_run;
    let diff = rules::replace(app.engine(), caller.act(), &api, sent.parse()?, is_dry_run).await?;
    Ok(reply::json(&RulesReplaced::of(diff, is_dry_run)))
}

impl ReplaceRules {
    fn parse(self) -> Result<NewRules, Error> {
        let numbered = |(rule, number): (NewRule, usize)| {
            let shown = format!("rule {number} ({} {:.60})", rule.method.as_deref().unwrap_or("*"), rule.path);
            rule.parse().map_err(|error| Error::new(error.code, format!("{shown}: {}", error.description)))
        };
        let scopes = self.create_scopes.iter().map(|scope| apis::scope(&scope.name, &scope.description));
        Ok(NewRules {
            scopes: scopes.collect::<Result<_, _>>()?,
            rules: self.rules.into_iter().zip(1..).map(numbered).collect::<Result<_, _>>()?,
            open: self.open,
        })
    }
}

impl NewRule {
    fn parse(self) -> Result<rule::Rule, Error> {
        rules::rule(self.method.as_deref(), self.path, Scopes::of(self.scopes)?, self.public)
    }
}

/// Say which rule decides a request
///
/// As the gateway would decide it. `method` is GET if left out, `path` is `/`.
#[utoipa::path(get, path = "/api/v1/apis/{id}/routes/test", tag = "apis",
    params(("id" = String, Path, format = "id"), ("method" = Option<String>, Query, format = "request-method"),
        ("path" = Option<String>, Query, format = "request-target")),
    responses((status = 200, body = TestedRequest)))]
pub async fn test(
    State(app): State<Arc<App>>,
    Admin(..): Admin<ApisRead>,
    IdAndQuery(id): IdAndQuery,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["method", "path"])?;
    let api: Api = find(&app, &id)?;
    let (method, path) = (query.get("method").unwrap_or("GET"), query.get("path").unwrap_or("/"));
    if !rules::is_method(method) {
        return Err(Error::invalid_request("method must be an HTTP method, such as GET").into());
    }
    Ok(reply::json(&TestedRequest::of(&rules::explain(&api, method, path), method, path)))
}

/// Remove a rule
///
/// Without rules, every credential for an API may call every path, so its last rule is only removed with `open=yes`.
#[utoipa::path(delete, path = "/api/v1/apis/{id}/routes/{route}", tag = "apis",
    params(("id" = String, Path, format = "id"), ("route" = String, Path, format = "id"),
        ("open" = Option<String>, Query, format = "yes")),
    responses((status = 204, description = "Removed"), (status = 409)))]
pub async fn remove(
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
