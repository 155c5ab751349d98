//! Owns `/gateway/verify` (forward-auth): verify → rule → limit, the hot path on one screen. nginx, Caddy, Traefik,
//! Envoy and Apache call it before they forward a request. What belongs here: what proxies send and the answers they
//! expect. Not here: matching rules (`model::rules`) and checking credentials (`engine::verify`).
//!
//! Authentication comes before the result of the rules, so that anonymous callers cannot map the rules.

mod answer;
mod nginx;
mod request;

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    engine::{limit::Verdict, verify::Verification},
    http::{
        credential::{CredentialCheck, Use},
        error::{BearerError, OAuthError},
        extract::RequestInfo,
    },
    model::{api::Api, error::Error, principal::Rejection, reason::Reason, rules::RuleMatch},
};

/// The request to decide: its caller and its API.
struct ForwardAuth<'a> {
    app: &'a App,
    info: &'a RequestInfo,
    api: &'a Api,
    parts: &'a Parts,
    /// The original target, if it is appended to our own path.
    appended: Option<&'a str>,
}

/// `ANY /gateway/verify` where there is one API
#[utoipa::path(get, path = "/gateway/verify", tag = "gateway", summary = "Authorize a request for a reverse proxy, with a single API",
    description = "Like /gateway/verify/{api}, for a server with a single API.",
    security(("bearer" = [])), responses((status = 200, description = "The request is allowed; headers identify the caller"),
        (status = 401, description = "No valid credential"), (status = 403, description = "Insufficient scope"),
        (status = 429, description = "Too many requests")))]
pub async fn only(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Response {
    let mut catalog = app.catalog.current();
    if catalog.apis.is_empty() {
        catalog = match app.catalog.seek(info.now).await {
            Ok(catalog) => catalog,
            Err(error) => return OAuthError(error).into_response(),
        };
    }
    match catalog.apis.as_slice() {
        [api] => {
            let (parts, _) = request.into_parts();
            ForwardAuth { app: &app, info: &info, api, parts: &parts, appended: None }.respond().await
        }
        _ => OAuthError(Error::invalid_request("the path must name the API: /gateway/verify/{slug}")).into_response(),
    }
}

/// `ANY /gateway/verify/{api}`
#[utoipa::path(get, path = "/gateway/verify/{api}", tag = "gateway", summary = "Authorize a request for a reverse proxy",
    description = "Called by a reverse proxy before each request, with any method: is the request allowed, and who is calling?",
    params(("api" = String, Path)),
    security(("bearer" = [])), responses((status = 200, description = "The request is allowed; headers identify the caller"),
        (status = 401, description = "No valid credential"), (status = 403, description = "Insufficient scope"),
        (status = 429, description = "Too many requests")))]
pub async fn named(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    info: RequestInfo,
    request: Request,
) -> Response {
    appended(State(app), Path((slug, String::new())), info, request).await
}

/// `ANY /gateway/verify/{api}/…`: the original path appended, as Envoy's `ext_authz` does.
pub async fn appended(
    State(app): State<Arc<App>>,
    Path((slug, _)): Path<(String, String)>,
    info: RequestInfo,
    request: Request,
) -> Response {
    let mut catalog = app.catalog.current();
    if catalog.by_slug(&slug).is_none() {
        catalog = match app.catalog.seek(info.now).await {
            Ok(catalog) => catalog,
            Err(error) => return OAuthError(error).into_response(),
        };
    }
    let Some(api) = catalog.by_slug(&slug) else { return OAuthError(Error::not_found()).into_response() };
    let (parts, _) = request.into_parts();
    // The raw target, not the decoded one: the upstream receives it in this form.
    let raw = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let rest = raw.strip_prefix("/gateway/verify/").and_then(|rest| rest.strip_prefix(slug.as_str()));
    let rest = rest.filter(|rest| rest.starts_with('/'));
    ForwardAuth { app: &app, info: &info, api, parts: &parts, appended: rest }.respond().await
}

impl<'q> ForwardAuth<'q> {
    /// The decision in a form that the proxy can pass on.
    async fn respond(&self) -> Response {
        let response = self.decide().await;
        if nginx::asks(&self.parts.headers) { nginx::passable(response).await } else { response }
    }

    async fn decide(&self) -> Response {
        let check = CredentialCheck::of(self.app, self.info, &self.parts.headers, Some(self.api));
        let rule_match = self.rule_match(&check);
        let verified = match request::credential(self.api, &self.parts.headers) {
            Ok(Some(credential)) => check.verify(credential).await,
            Ok(None) => return self.without_credential(&check, rule_match),
            Err(reason) => Ok(Rejection::unknown(reason).into()),
        };
        let judged = match verified {
            Ok(Verification::Accepted(used)) => self.judge(rule_match, used).await,
            Ok(Verification::Rejected(rejection)) => Ok(self.refuse(&check.deny(rejection, self.asked()), None)),
            Err(error) => Err(error),
        };
        judged.unwrap_or_else(|error| BearerError { name: error.code.as_str(), error }.into_response())
    }

    /// Without a credential, a response reveals only one thing about the rules: which requests are public.
    fn without_credential(
        &self,
        check: &CredentialCheck<'_>,
        rule_match: Result<Option<RuleMatch<'q>>, Reason>,
    ) -> Response {
        let reason = match rule_match {
            Ok(Some(rule_match)) if rule_match.is_public() => return self.pass(None, None),
            Err(Reason::Malformed(why)) => Reason::Malformed(why),
            _ => Reason::Missing,
        };
        // Not counted: a missing credential is not evidence about any credential.
        let rejection = Rejection::unknown(reason);
        check.record(&rejection, self.asked());
        self.refuse(&rejection, None)
    }

    /// Checks a valid credential: its audience, the rule, its scopes, and the quota left in its plan.
    async fn judge(&self, rule_match: Result<Option<RuleMatch<'q>>, Reason>, used: Use<'_>) -> Result<Response, Error> {
        let (app, now, principal) = (self.app, self.info.now, used.principal());
        if !principal.audience.contains(&self.api.identifier) {
            return Ok(self.refuse(&used.deny(Reason::Audience, self.asked()), None));
        }
        let missing = |rule_match: RuleMatch<'q>| {
            let missing = rule_match.missing(&principal.scopes);
            if missing.is_empty() { Ok(()) } else { Err(Reason::Scope(missing.to_string())) }
        };
        let outcome = rule_match.and_then(|rule_match| rule_match.map_or(Ok(()), missing));
        let catalog = app.catalog.current();
        let plan = principal.quota.as_ref().and_then(|quota| Some((catalog.plans.find(&quota.plan)?, quota)));
        let verdict = match plan {
            Some((plan, quota)) if outcome.is_ok() => {
                app.limiter.count(now, plan, &quota.subject, &self.api.id).await?
            }
            // A refused request is not counted, but it still gets the remaining quota, as every known key does.
            Some((plan, quota)) => app.limiter.peek(now, plan, &quota.subject, &self.api.id).await?,
            None => None,
        };
        let reason = match (outcome, verdict) {
            (Err(reason), _) => reason,
            (Ok(()), Some(Verdict { exceeded: true, retry_after, .. })) => {
                let why = format!("over the plan's limit; try again in {retry_after} s").into();
                Reason::Limited { retry_after, why }
            }
            (Ok(()), _) => return Ok(self.pass(Some(&used.allow().value.principal), verdict)),
        };
        Ok(self.refuse(&used.deny(reason, self.asked()), verdict))
    }
}
