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
        error::{BearerError, OAuthError},
        extract::{RequestInfo, from_trusted_proxy},
        reply,
    },
    model::{
        api::Api,
        error::Error,
        principal::{Denial, Principal},
        profile::{Carrier, Refusal},
        route::{Route, normal_path},
    },
};

/// Headers of an allowed answer, for the upstream.
const IDENTITY: [&str; 7] = [
    "x-auth-subject",
    "x-auth-client",
    "x-auth-key-id",
    "x-auth-environment",
    "x-auth-plan",
    "x-auth-scopes",
    "x-auth-credential",
];
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

/// `ANY /gateway/verify` where there is one API
pub async fn only(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Response {
    let catalog = app.catalog.current();
    match catalog.apis.as_slice() {
        [api] => decide(&app, &info, api, request, None).await,
        _ => OAuthError(Error::invalid_request("name the API: /gateway/verify/{slug}")).into_response(),
    }
}

/// `ANY /gateway/verify/{api}`
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
    decide(&app, &info, api, request, rest.filter(|rest| rest.starts_with('/'))).await
}

async fn decide(app: &App, info: &RequestInfo, api: &Api, request: Request, appended: Option<String>) -> Response {
    let original = match original(app, &request, appended) {
        Ok(original) => original,
        Err(why) => return render(api, &refused(Refusal::Malformed(why))),
    };
    let route = match route(api, &original) {
        Ok(route) => route,
        Err(refusal) => return render(api, &refused(refusal)),
    };
    let (parts, _) = request.into_parts();
    let presented = match credential(api, &parts.headers) {
        Ok(Some(presented)) => presented,
        Ok(None) if route.is_some_and(|route| route.public) => {
            return render(api, &Decision { principal: None, verdict: None, outcome: Ok(()) });
        }
        Ok(None) => return render(api, &refused(Refusal::Missing)),
        Err(refusal) => return render(api, &refused(refusal)),
    };
    let found: Result<Verified, Denial> = match app.verifier.verify(info.now, &presented).await {
        Ok(found) => found,
        Err(error) => return BearerError { name: error.code.as_str(), error }.into_response(),
    };
    let accepted = match found {
        Ok(accepted) if accepted.value.principal.audience.contains(&api.identifier) => accepted,
        Err(Denial::Expired) if !app.verifier.is_api_key(&presented) => return render(api, &refused(Refusal::Expired)),
        found => {
            let denial = found.err().map_or("other_audience", Denial::as_str);
            app.tally.count("gateway", None, &info.origin("anonymous"), Some(denial));
            return render(api, &refused(Refusal::Invalid));
        }
    };
    let principal = &accepted.value.principal;
    render(api, &judge(app, info, api, route, principal))
}

/// A valid credential: does it have the scopes, and something left of its plan?
fn judge<'p>(
    app: &App,
    info: &RequestInfo,
    api: &Api,
    route: Option<&Route>,
    principal: &'p Principal,
) -> Decision<'p> {
    let missing = route.map(|route| route.scopes.filter(|name| !principal.scopes.contains(name))).unwrap_or_default();
    if !missing.is_empty() {
        let outcome = Err(Refusal::Forbidden { scope: missing.to_string() });
        return Decision { principal: Some(principal), verdict: None, outcome };
    }
    let catalog = app.catalog.current();
    let plan = principal.user.as_ref().and_then(|user| catalog.plans.find(&user.plan));
    let verdict = plan.map(|plan| app.limiter.count(info.now, plan, &principal.subject, &api.id));
    let outcome = match verdict {
        Some(verdict) if verdict.exceeded => Err(Refusal::Limited { retry_after: verdict.retry_after }),
        _ => Ok(()),
    };
    Decision { principal: Some(principal), verdict, outcome }
}

fn refused(refusal: Refusal) -> Decision<'static> {
    Decision { principal: None, verdict: None, outcome: Err(refusal) }
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

/// The rule for this request. An API without rules lets any of its credentials pass; one with rules wants one to match.
fn route<'a>(api: &'a Api, original: &Original) -> Result<Option<&'a Route>, Refusal> {
    let path = original
        .target
        .as_deref()
        .map(|target| normal_path(target).ok_or(Refusal::Malformed("The path has more than one reading.")));
    let path = path.transpose()?;
    if api.routes.is_empty() {
        return Ok(None);
    }
    let path = path.ok_or(Refusal::Malformed("The proxy does not forward the original URI."))?;
    let matching = api.routes.iter().find(|route| route.matches(&original.method, path));
    matching.map(Some).ok_or(Refusal::Forbidden { scope: String::new() })
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

fn render(api: &Api, decision: &Decision<'_>) -> Response {
    let mut response = match &decision.outcome {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => {
            let mut response = reply::json(&api.profile.body(refusal));
            *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Err(refusal) = &decision.outcome {
        challenge(headers, refusal);
    }
    limits(headers, decision);
    identity(headers, decision.principal.filter(|_| decision.outcome.is_ok()));
    response
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // A name in words may hold characters that no header can; then it is left empty, never passed through.
    let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""));
    headers.insert(HeaderName::from_static(name), value);
}

/// Sets every identity header, empty where there is nothing to say.
fn identity(headers: &mut HeaderMap, principal: Option<&Principal>) {
    let key = principal.and_then(|principal| principal.key.as_ref());
    let scopes = principal.map(|principal| principal.scopes.to_string()).unwrap_or_default();
    let values = [
        principal.map(|principal| principal.subject.as_str()),
        principal.and_then(|principal| principal.client_id.as_deref()),
        key.map(|key| key.id.as_str()),
        key.map(|key| key.environment.as_str()),
        principal.and_then(|principal| principal.user.as_ref()).map(|user| user.plan.as_str()),
        Some(scopes.as_str()),
        principal.map(|principal| principal.kind.as_str()),
    ];
    for (name, value) in IDENTITY.into_iter().zip(values) {
        set(headers, name, value.unwrap_or_default());
    }
}

/// `X-RateLimit-*` as API users know them, and the IETF's `RateLimit` fields.
fn limits(headers: &mut HeaderMap, decision: &Decision<'_>) {
    let Some(verdict) = decision.verdict else { return };
    if let (Some(limit), Some(remaining)) = (verdict.limit, verdict.remaining) {
        set(headers, "x-ratelimit-limit", &limit.to_string());
        set(headers, "x-ratelimit-remaining", &remaining.to_string());
        set(headers, "ratelimit-policy", &format!("\"hour\";q={limit};w=3600"));
        set(headers, "ratelimit", &format!("\"hour\";r={remaining};t={}", verdict.seconds_left));
    }
    set(headers, "x-ratelimit-reset", &verdict.reset.to_string());
    if verdict.exceeded {
        set(headers, "retry-after", &verdict.retry_after.max(1).to_string());
    }
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
    set(headers, "www-authenticate", &value);
}
