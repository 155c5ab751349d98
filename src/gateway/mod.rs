//! Owns `/gateway/verify` (forward-auth): verify → rule → limit, the hot path on one screen. nginx, Caddy, Traefik, Envoy
//! and Apache ask here before they pass a request on. What belongs here: what proxies forward and how they want answers.
//! Not here: matching rules (`model::rule`) and checking credentials (`engine::verify`).
//!
//! Authentication comes before the result of the rules, so that anonymous callers cannot map the rules.

mod answer;
mod error;
mod nginx;
mod request;

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};

use self::{answer::Decision, error::GatewayError};
use crate::{
    app::App,
    engine::{limit::Verdict, verify::Verified},
    http::{
        credential,
        error::{BearerError, OAuthError},
        extract::RequestInfo,
    },
    model::{
        api::Api,
        denial::DenialRecord,
        error::Error,
        principal::{CredentialKind, Presentation, Principal, Reason, Rejection},
        rule::RuleMatch,
        usage::Outcome,
    },
};

/// What is asked: by whom, about which API.
struct ForwardAuth<'a> {
    app: &'a App,
    info: &'a RequestInfo,
    api: &'a Api,
    parts: &'a Parts,
    /// The original target, if it is appended to our own path.
    appended: Option<&'a str>,
}

/// `ANY /gateway/verify` where there is one API
#[utoipa::path(get, path = "/gateway/verify", tag = "gateway", summary = "Judge a request for a reverse proxy, where there is one API",
    description = "As /gateway/verify/{api}, on a server with a single API.",
    security(("bearer" = [])), responses((status = 200, description = "It may; headers say who is calling"),
        (status = 401, description = "No valid credential"), (status = 403, description = "Not with these scopes"),
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
        _ => OAuthError(Error::invalid_request("name the API: /gateway/verify/{slug}")).into_response(),
    }
}

/// `ANY /gateway/verify/{api}`
#[utoipa::path(get, path = "/gateway/verify/{api}", tag = "gateway", summary = "Judge a request for a reverse proxy",
    description = "Asked by a reverse proxy before each request, by any method: may it pass, and who is calling?",
    params(("api" = String, Path)),
    security(("bearer" = [])), responses((status = 200, description = "It may; headers say who is calling"),
        (status = 401, description = "No valid credential"), (status = 403, description = "Not with these scopes"),
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
    // The raw target, not the decoded one: it is judged in the form in which the upstream gets it.
    let raw = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let rest = raw.strip_prefix("/gateway/verify/").and_then(|rest| rest.strip_prefix(slug.as_str()));
    let rest = rest.filter(|rest| rest.starts_with('/'));
    ForwardAuth { app: &app, info: &info, api, parts: &parts, appended: rest }.respond().await
}

impl<'q> ForwardAuth<'q> {
    /// The decision in the form that the proxy can pass on.
    async fn respond(&self) -> Response {
        let response = self.decide().await;
        if nginx::asks(&self.parts.headers) { nginx::passable(response).await } else { response }
    }

    async fn decide(&self) -> Response {
        let headers = &self.parts.headers;
        let rule_match = self.rule_match();
        let presented = match request::credential(self.api, headers) {
            Ok(Some(presented)) => presented,
            Ok(None) => return self.without_credential(rule_match),
            Err(refusal) => {
                self.note(&refusal, None);
                return self.refuse(refusal);
            }
        };
        let from = self.info.presentation(headers);
        let accepted = match credential::verify(self.app, self.info, presented, &from).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(denied)) => return self.deny(denied),
            Err(Error { retry_after: Some(retry_after), description, .. }) => {
                let denied = Rejection::unknown(Reason::Limited);
                let slug = Some(self.api.slug.as_str());
                self.info.record_rejection_because(
                    self.app,
                    (429, description.into_owned()),
                    slug,
                    denied,
                    self.asked(),
                );
                return self.refuse(GatewayError::Limited { retry_after });
            }
            Err(error) => return BearerError { name: error.code.as_str(), error }.into_response(),
        };
        if !accepted.value.principal.audience.contains(&self.api.identifier) {
            self.app.verifier.count_use(self.info.now, &accepted, Outcome::Denied, &from);
            return self.deny(Rejection::of(Reason::Audience, &accepted.value.principal));
        }
        match self.judge(rule_match, &accepted, &from).await {
            Ok(response) => response,
            Err(error) => BearerError { name: error.code.as_str(), error }.into_response(),
        }
    }

    /// Without one, the rules tell themselves by one thing alone: what is public.
    fn without_credential(&self, rule_match: Result<Option<RuleMatch<'q>>, GatewayError>) -> Response {
        let (refusal, denial, why) = match rule_match {
            Ok(Some(rule_match)) if rule_match.is_public() => {
                return self.render(&Decision { principal: None, verdict: None, outcome: Ok(()) });
            }
            Err(GatewayError::Malformed(why)) => (GatewayError::Malformed(why), Reason::Malformed, Some(why)),
            _ => (GatewayError::Missing, Reason::Missing, None),
        };
        // Not counted: that no credential was sent says nothing of one.
        let denied = Rejection::unknown(denial);
        let why = why.map_or_else(|| denied.why(self.info.now), ToOwned::to_owned);
        let record = DenialRecord::of(self.info.now, refusal.status(), why, denied, self.asked());
        self.info.record_denial(self.app, Some(&self.api.slug), None, record);
        self.refuse(refusal)
    }

    /// A valid credential: is there a rule, does it have the scopes, and something left of its plan?
    async fn judge(
        &self,
        rule_match: Result<Option<RuleMatch<'q>>, GatewayError>,
        accepted: &Verified,
        from: &Presentation<'_>,
    ) -> Result<Response, Error> {
        let (app, now, principal) = (self.app, self.info.now, &accepted.value.principal);
        let missing = |rule_match: RuleMatch<'q>| {
            let missing = rule_match.missing(&principal.scopes);
            if missing.is_empty() { Ok(()) } else { Err(GatewayError::Forbidden { scope: missing.to_string() }) }
        };
        let mut outcome = rule_match.and_then(|rule_match| rule_match.map_or(Ok(()), missing));
        let catalog = app.catalog.current();
        let plan = principal.quota.as_ref().and_then(|quota| Some((catalog.plans.find(&quota.plan)?, quota)));
        let verdict = match plan {
            Some((plan, quota)) if outcome.is_ok() => {
                app.limiter.count(now, plan, &quota.subject, &self.api.id).await?
            }
            // Told what is left like everybody whose key is known, and not counted.
            Some((plan, quota)) => {
                let left = app.limiter.peek(now, plan, &quota.subject, &self.api.id).await?;
                left.map(|left| Verdict { exceeded: false, ..left })
            }
            None => None,
        };
        if let Some(Verdict { exceeded: true, retry_after, .. }) = verdict {
            outcome = Err(GatewayError::Limited { retry_after });
        }
        let used = match &outcome {
            Ok(()) => Outcome::Allowed,
            Err(GatewayError::Limited { .. }) => Outcome::Limited,
            Err(_) => Outcome::Denied,
        };
        app.verifier.count_use(now, accepted, used, from);
        if let Err(refusal) = &outcome {
            self.note(refusal, Some(principal));
        }
        Ok(self.render(&Decision { principal: Some(principal), verdict, outcome }))
    }

    /// Notes a refusal that is none of the credential's, for its owner.
    fn note(&self, refusal: &GatewayError, principal: Option<&Principal>) {
        let (denial, why) = match refusal {
            GatewayError::Malformed(why) => (Reason::Malformed, Some((*why).to_owned())),
            GatewayError::Forbidden { scope } if scope.is_empty() => (Reason::Route, None),
            GatewayError::Forbidden { scope } => (Reason::Scope, Some(format!("scope {scope} missing"))),
            GatewayError::Limited { retry_after } => {
                (Reason::Limited, Some(format!("over the plan: try again in {retry_after} s")))
            }
            GatewayError::Missing => (Reason::Missing, None),
            GatewayError::Invalid | GatewayError::Expired => (Reason::Unknown, None),
        };
        let denied = principal.map_or_else(|| Rejection::unknown(denial), |principal| Rejection::of(denial, principal));
        let why = why.unwrap_or_else(|| denied.why(self.info.now));
        let mut asked = self.asked();
        if let GatewayError::Forbidden { scope } = refusal {
            asked.needs = Some(scope.clone()).filter(|scope| !scope.is_empty());
            let own = |principal: &Principal| {
                principal.scopes.filter(|name| self.api.scopes.iter().any(|own| own.name == name))
            };
            asked.holds = principal.map(|principal| own(principal).to_string());
        }
        self.info.record_rejection_because(self.app, (refusal.status(), why), Some(&self.api.slug), denied, asked);
    }

    /// A credential that is not accepted. Only a token's end is told to its holder; all else looks alike.
    fn deny(&self, denied: Rejection) -> Response {
        let is_expired_token = denied.reason == Reason::Expired && denied.kind == Some(CredentialKind::AccessToken);
        self.info.record_rejection(self.app, 401, Some(&self.api.slug), denied, self.asked());
        self.refuse(if is_expired_token { GatewayError::Expired } else { GatewayError::Invalid })
    }
}
