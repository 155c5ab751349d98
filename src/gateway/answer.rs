//! Owns the response to a gateway decision: status, body, and headers, each of which every decision sets or clears.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::ForwardAuth;
use crate::{
    engine::limit::Verdict,
    http::{refusal, reply},
    model::{
        principal::{Principal, Rejection},
        reason::Reason,
    },
};

impl ForwardAuth<'_> {
    /// The request is allowed for `principal`, or for any caller if there is none.
    pub(super) fn pass(&self, principal: Option<&Principal>, verdict: Option<Verdict>) -> Response {
        self.finish(StatusCode::OK.into_response(), principal, verdict)
    }

    pub(super) fn refuse(&self, rejection: &Rejection, verdict: Option<Verdict>) -> Response {
        let reason = &rejection.reason;
        let mut response = reply::json(&refusal::body(self.api.profile, rejection));
        *response.status_mut() = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::FORBIDDEN);
        let headers = response.headers_mut();
        if let Some(challenge) = reason.challenge() {
            set(headers, header::WWW_AUTHENTICATE, &challenge);
        }
        if let Reason::Limited { retry_after, .. } = reason {
            set(headers, header::RETRY_AFTER, &retry_after.max(&1).to_string());
        }
        self.finish(response, None, verdict)
    }

    fn finish(&self, mut response: Response, principal: Option<&Principal>, verdict: Option<Verdict>) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(verdict) = verdict {
            limits(headers, verdict);
        }
        self.identity(headers, principal);
        response
    }

    /// Sets every identity header, empty if there is no value.
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
    // A display name may have characters that no header can carry; then it is empty, never passed through.
    let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""));
    headers.insert(name, value);
}

/// `X-RateLimit-*` as API users expect them, and the IETF's `RateLimit` fields.
fn limits(headers: &mut HeaderMap, verdict: Verdict) {
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
