//! Owns what the gateway's decision looks like: status, body, and headers of which every decision sets or clears every
//! one.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{ForwardAuth, error::GatewayError};
use crate::{engine::limit::Verdict, http::reply, model::principal::Principal};

/// A decision, before it is rendered.
pub(super) struct Decision<'a> {
    pub(super) principal: Option<&'a Principal>,
    pub(super) verdict: Option<Verdict>,
    pub(super) outcome: Result<(), GatewayError>,
}

impl ForwardAuth<'_> {
    pub(super) fn refuse(&self, refusal: GatewayError) -> Response {
        self.render(&Decision { principal: None, verdict: None, outcome: Err(refusal) })
    }

    pub(super) fn render(&self, decision: &Decision<'_>) -> Response {
        let mut response = match &decision.outcome {
            Ok(()) => StatusCode::OK.into_response(),
            Err(refusal) => {
                let mut response = reply::json(&refusal.body(self.api.profile));
                *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Err(refusal) = &decision.outcome {
            challenge(headers, refusal);
        }
        if let Err(GatewayError::Limited { retry_after }) = &decision.outcome {
            set(headers, header::RETRY_AFTER, &retry_after.max(&1).to_string());
        }
        limits(headers, decision);
        self.identity(headers, decision.principal.filter(|_| decision.outcome.is_ok()));
        response
    }

    /// Sets every identity header, empty where there is nothing to say.
    fn identity(&self, headers: &mut HeaderMap, principal: Option<&Principal>) {
        let key = principal.and_then(|principal| principal.key.as_ref());
        let scopes = principal.map(|principal| self.api.own_scopes(&principal.scopes)).unwrap_or_default();
        // In the order of `config::Gateway::names`.
        let values = [
            principal.map(|principal| principal.subject.as_str()),
            principal.and_then(|principal| principal.user.as_ref()).map(|user| user.name.as_str()),
            principal.and_then(|principal| principal.client_id.as_deref()),
            key.map(|key| key.id.as_str()),
            key.and_then(|key| key.project.as_ref()).map(|(id, _)| id.as_str()),
            key.map(|key| key.environment.as_str()),
            principal.and_then(|principal| principal.quota.as_ref()).map(|quota| quota.plan.as_str()),
            Some(scopes.as_str()),
            principal.map(|principal| principal.kind.as_str()),
        ];
        for (name, value) in self.app.identity_headers.iter().zip(values) {
            set(headers, name.clone(), value.unwrap_or_default());
        }
    }
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
fn challenge(headers: &mut HeaderMap, refusal: &GatewayError) {
    let value = match refusal {
        GatewayError::Missing => "Bearer realm=\"grantd\"".to_owned(),
        GatewayError::Invalid | GatewayError::Expired => "Bearer realm=\"grantd\", error=\"invalid_token\"".to_owned(),
        GatewayError::Forbidden { scope } if !scope.is_empty() => {
            format!("Bearer realm=\"grantd\", error=\"insufficient_scope\", scope=\"{scope}\"")
        }
        _ => return,
    };
    set(headers, HeaderName::from_static("www-authenticate"), &value);
}
