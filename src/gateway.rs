//! Owns `/gateway/verify` (forward-auth): verify → route → limit → headers, the hot path on one screen. Does not proxy
//! anything: nginx, Caddy, Traefik, Envoy and Apache ask here first.
//!
//! Every decision sets or clears every identity header, so that none a client sent can reach the upstream.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    engine::{limit::Verdict, verify::Verified},
    http::{
        credential,
        error::{BearerError, OAuthError},
        extract::{RequestInfo, from_trusted_proxy},
        nginx,
        refused::names_credential,
        reply,
    },
    model::{
        api::Api,
        error::Error,
        principal::{CredentialKind, Denial, Denied, Presenter, Principal},
        profile::{Carrier, Refusal},
        route::{Ruling, normal_path},
        usage::Outcome,
    },
};

const METHOD_HEADERS: [&str; 2] = ["x-forwarded-method", "x-original-method"];
const URI_HEADERS: [&str; 2] = ["x-forwarded-uri", "x-original-uri"];

/// What the proxy was asked for, as far as it says so.
struct Original {
    method: String,
    target: Option<String>,
}

/// A decision, before it is rendered.
struct Decision<'a> {
    principal: Option<&'a Principal>,
    verdict: Option<Verdict>,
    outcome: Result<(), Refusal>,
}

/// What is asked: by whom, about which API.
struct Question<'a> {
    app: &'a App,
    info: &'a RequestInfo,
    api: &'a Api,
}

/// `ANY /gateway/verify` where there is one API
pub async fn only(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Response {
    let catalog = app.catalog.current();
    match catalog.apis.as_slice() {
        [api] => answer(&app, &info, api, request, None).await,
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
    let catalog = app.catalog.current();
    let Some(api) = catalog.by_slug(&slug) else { return OAuthError(Error::not_found()).into_response() };
    // The raw target, not the decoded one: it is judged in the form in which the upstream gets it.
    let raw = request.uri().path_and_query().map(|target| target.as_str().to_owned()).unwrap_or_default();
    let rest = raw.split_once(&format!("/gateway/verify/{slug}")).map(|(_, rest)| rest.to_owned());
    answer(&app, &info, api, request, rest.filter(|rest| rest.starts_with('/'))).await
}

/// The decision in the form that the proxy can pass on.
async fn answer(app: &App, info: &RequestInfo, api: &Api, request: Request, appended: Option<String>) -> Response {
    let for_nginx = nginx::asks(request.headers());
    let response = decide(app, info, api, request, appended).await;
    if for_nginx { nginx::passable(response).await } else { response }
}

async fn decide(app: &App, info: &RequestInfo, api: &Api, request: Request, appended: Option<String>) -> Response {
    let question = Question { app, info, api };
    let original = match original(app, &request, appended) {
        Ok(original) => original,
        Err(why) => return question.refuse(Refusal::Malformed(why)),
    };
    if original
        .target
        .as_deref()
        .and_then(|target| target.split_once('?'))
        .is_some_and(|(_, query)| names_credential(query, &[]))
    {
        app.tally.count("credential_in_url", None, &info.origin("anonymous"), Some("a credential was sent in a URL"));
        return question
            .refuse(Refusal::Malformed("A credential belongs into a header, not into the URL: revoke this one."));
    }
    let ruling = match ruling(api, &original) {
        Ok(ruling) => ruling,
        Err(refusal) => return question.refuse(refusal),
    };
    let (parts, _) = request.into_parts();
    let presented = match credential(api, &parts.headers) {
        Ok(Some(presented)) => presented,
        Ok(None) if ruling.as_ref().is_some_and(Ruling::is_public) => {
            return question.render(&Decision { principal: None, verdict: None, outcome: Ok(()) });
        }
        Ok(None) => return question.refuse(Refusal::Missing),
        Err(refusal) => return question.refuse(refusal),
    };
    let from = info.presenter(&parts.headers);
    let accepted = match credential::verify(app, info, &presented, &from).await {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(denied)) => return question.deny(denied),
        Err(Error { retry_after: Some(retry_after), .. }) => return question.refuse(Refusal::Limited { retry_after }),
        Err(error) => return BearerError { name: error.code.as_str(), error }.into_response(),
    };
    if !accepted.value.principal.audience.contains(&api.identifier) {
        app.verifier.used(info.now, &accepted, Outcome::Denied, &from);
        return question.deny(Denied::of(Denial::Audience, &accepted.value.principal));
    }
    match question.judge(ruling, &accepted, &from).await {
        Ok(response) => response,
        Err(error) => BearerError { name: error.code.as_str(), error }.into_response(),
    }
}

impl Question<'_> {
    /// A valid credential: does it have the scopes, and something left of its plan?
    async fn judge(
        &self,
        ruling: Option<Ruling<'_>>,
        accepted: &Verified,
        from: &Presenter<'_>,
    ) -> Result<Response, Error> {
        let (app, now, principal) = (self.app, self.info.now, &accepted.value.principal);
        let missing = ruling.map(|ruling| ruling.missing(&principal.scopes)).unwrap_or_default();
        let catalog = app.catalog.current();
        let plan = principal.metered.as_ref().and_then(|metered| Some((catalog.plans.find(&metered.plan)?, metered)));
        if !missing.is_empty() {
            app.verifier.used(now, accepted, Outcome::Denied, from);
            self.note(403, Denial::Scope, principal, format!("scope {missing} missing"));
            let outcome = Err(Refusal::Forbidden { scope: missing.to_string() });
            // Told what is left like everybody whose key is known, and not counted.
            let left = match plan {
                Some((plan, metered)) => app.limiter.peek(now, plan, &metered.subject, &self.api.id).await?,
                None => None,
            };
            let verdict = left.map(|left| Verdict { exceeded: false, ..left });
            return Ok(self.render(&Decision { principal: Some(principal), verdict, outcome }));
        }
        let verdict = match plan {
            Some((plan, metered)) => app.limiter.count(now, plan, &metered.subject, &self.api.id).await?,
            None => None,
        };
        let outcome = match verdict {
            Some(verdict) if verdict.exceeded => {
                app.verifier.used(now, accepted, Outcome::Limited, from);
                self.note(
                    429,
                    Denial::Limited,
                    principal,
                    format!("over the plan: try again in {} s", verdict.retry_after),
                );
                Err(Refusal::Limited { retry_after: verdict.retry_after })
            }
            _ => {
                app.verifier.used(now, accepted, Outcome::Allowed, from);
                Ok(())
            }
        };
        Ok(self.render(&Decision { principal: Some(principal), verdict, outcome }))
    }

    fn note(&self, status: u16, denial: Denial, principal: &Principal, reason: String) {
        let denied = Denied::of(denial, principal);
        self.info.note_denial_because(self.app, status, Some(&self.api.slug), denied, reason);
    }

    /// A credential that is not accepted. Only a token's end is told to its holder; all else looks alike.
    fn deny(&self, denied: Denied) -> Response {
        let is_expired_token = denied.reason == Denial::Expired && denied.kind == Some(CredentialKind::AccessToken);
        self.info.note_denial(self.app, 401, Some(&self.api.slug), denied);
        self.refuse(if is_expired_token { Refusal::Expired } else { Refusal::Invalid })
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        self.render(&Decision { principal: None, verdict: None, outcome: Err(refusal) })
    }

    fn render(&self, decision: &Decision<'_>) -> Response {
        let mut response = match &decision.outcome {
            Ok(()) => StatusCode::OK.into_response(),
            Err(refusal) => {
                let mut response = reply::json(&self.api.profile.body(refusal));
                *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Err(refusal) = &decision.outcome {
            challenge(headers, refusal);
        }
        if let Err(Refusal::Limited { retry_after }) = &decision.outcome {
            set(headers, header::RETRY_AFTER, &retry_after.max(&1).to_string());
        }
        limits(headers, decision);
        self.identity(headers, decision.principal.filter(|_| decision.outcome.is_ok()));
        response
    }

    /// Sets every identity header, empty where there is nothing to say.
    fn identity(&self, headers: &mut HeaderMap, principal: Option<&Principal>) {
        let key = principal.and_then(|principal| principal.key.as_ref());
        let scopes = principal.map(|principal| principal.scopes.to_string()).unwrap_or_default();
        // In the order of `config::Gateway::names`.
        let values = [
            principal.map(|principal| principal.subject.as_str()),
            principal.and_then(|principal| principal.user.as_ref()).map(|user| user.name.as_str()),
            principal.and_then(|principal| principal.client_id.as_deref()),
            key.map(|key| key.id.as_str()),
            key.and_then(|key| key.project.as_ref()).map(|(id, _)| id.as_str()),
            key.map(|key| key.environment.as_str()),
            principal.and_then(|principal| principal.metered.as_ref()).map(|metered| metered.plan.as_str()),
            Some(scopes.as_str()),
            principal.map(|principal| principal.kind.as_str()),
        ];
        for (name, value) in self.app.identity_headers.iter().zip(values) {
            set(headers, name.clone(), value.unwrap_or_default());
        }
    }
}

/// The original method and target: appended to our own path, or in headers, which count only from a trusted proxy.
fn original(app: &App, request: &Request, appended: Option<String>) -> Result<Original, &'static str> {
    let own = request.method().as_str().to_owned();
    if appended.is_some() {
        return Ok(Original { method: own, target: appended });
    }
    if !from_trusted_proxy(request, &app.config.trusted_proxies) {
        return Ok(Original { method: own, target: None });
    }
    let one = |names: &[&str]| -> Result<Option<String>, &'static str> {
        let mut values = names.iter().flat_map(|name| request.headers().get_all(*name));
        let Some(first) = values.next() else { return Ok(None) };
        if values.any(|other| other != first) {
            return Err("the proxy forwarded two different requests");
        }
        first.to_str().map(|text| Some(text.to_owned())).map_err(|_| "a forwarded header is not text")
    };
    Ok(Original { method: one(&METHOD_HEADERS)?.unwrap_or(own), target: one(&URI_HEADERS)? })
}

/// What this request needs. An API without rules lets any of its credentials pass; one with rules wants one to match.
fn ruling<'a>(api: &'a Api, original: &Original) -> Result<Option<Ruling<'a>>, Refusal> {
    let path = original
        .target
        .as_deref()
        .map(|target| normal_path(target).ok_or(Refusal::Malformed("The path has more than one reading.")));
    let path = path.transpose()?;
    if api.routes.is_empty() {
        return Ok(None);
    }
    let path = path.ok_or(Refusal::Malformed("The proxy does not forward the original URI."))?;
    Ruling::of(&api.routes, &original.method, path).map(Some).ok_or(Refusal::Forbidden { scope: String::new() })
}

/// The one credential of a request; two that disagree are refused, not chosen between.
fn credential(api: &Api, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut found: Option<&str> = None;
    for carrier in api.profile.carriers() {
        let name = match carrier {
            Carrier::Bearer => "authorization",
            Carrier::Header(name) => name,
        };
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| Refusal::Invalid)?.trim();
            let text = match carrier {
                Carrier::Bearer => match text.split_once(' ') {
                    Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
                    _ => return Err(Refusal::Invalid),
                },
                Carrier::Header(_) => text,
            };
            if found.is_some_and(|before| before != text) {
                return Err(Refusal::Malformed("The request carries two different credentials."));
            }
            found = Some(text);
        }
    }
    Ok(found.filter(|text| !text.is_empty()).map(ToOwned::to_owned))
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // A name in words may hold characters that no header can; then it is left empty, never passed through.
    let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""));
    headers.insert(name, value);
}

/// `X-RateLimit-*` as API users know them, and the IETF's `RateLimit` fields.
fn limits(headers: &mut HeaderMap, decision: &Decision<'_>) {
    let Some(verdict) = decision.verdict else { return };
    if let (Some(limit), Some(remaining)) = (verdict.limit, verdict.remaining) {
        set(headers, HeaderName::from_static("x-ratelimit-limit"), &limit.to_string());
        set(headers, HeaderName::from_static("x-ratelimit-remaining"), &remaining.to_string());
        set(headers, HeaderName::from_static("ratelimit-policy"), &format!("\"hour\";q={limit};w=3600"));
        set(
            headers,
            HeaderName::from_static("ratelimit"),
            &format!("\"hour\";r={remaining};t={}", verdict.seconds_left),
        );
    }
    set(headers, HeaderName::from_static("x-ratelimit-reset"), &verdict.reset.to_string());
}

/// RFC 6750 §3: what a Bearer client can do about it.
fn challenge(headers: &mut HeaderMap, refusal: &Refusal) {
    let value = match refusal {
        Refusal::Missing => "Bearer realm=\"grantd\"".to_owned(),
        Refusal::Invalid | Refusal::Expired => "Bearer realm=\"grantd\", error=\"invalid_token\"".to_owned(),
        Refusal::Forbidden { scope } if !scope.is_empty() => {
            format!("Bearer realm=\"grantd\", error=\"insufficient_scope\", scope=\"{scope}\"")
        }
        _ => return,
    };
    set(headers, HeaderName::from_static("www-authenticate"), &value);
}
