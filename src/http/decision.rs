//! Owns the decision about a request to an API: which rule applies, whether a credential is enough, and the answer in the
//! words of the API's profile. Every decision sets or clears each identity header. Does not read what proxies send; see
//! `gateway`.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{credential::CredentialCheck, error::BearerError, reply};
use crate::{
    app::App,
    engine::limit::Verdict,
    model::{
        api::Api,
        clock::Timestamp,
        error::{Error, ErrorCode},
        path::normal_path,
        principal::{Principal, Rejection},
        profile::{Details, Dialect, Kind, LimitField},
        reason::Reason,
        rules::RuleMatch,
    },
};

/// Room for the headers of an answer, so that the map does not grow again and again.
const HEADERS: usize = 24;

/// Length of the window in which a plan counts, in seconds.
const WINDOW_SECONDS: u32 = 3600;

/// A request to an API, to be decided.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The application.
    pub app: &'a App,
    /// The request's id.
    pub request_id: &'a str,
    /// The API.
    pub api: &'a Api,
}

/// The rule for a request. `None` if its API has no rules: then any credential of the API is enough.
pub type Ruling<'a> = Result<Option<RuleMatch<'a>>, Reason>;

/// What becomes of a request with a valid credential.
#[derive(Debug)]
pub struct Judged {
    /// Why it is refused; `None` if it may pass.
    pub reason: Option<Reason>,
    /// What is left of the plan.
    pub verdict: Option<Verdict>,
}

impl<'a> Decision<'a> {
    /// The rule for this method and target. In an API with rules, one must match.
    pub fn ruling(&self, check: &CredentialCheck<'_>, method: Option<&str>, target: &str) -> Ruling<'a> {
        not_in_url(check, target.split_once('?').map_or("", |(_, query)| query))?;
        let path = normal_path(target).ok_or(Reason::Malformed("The path is ambiguous."))?;
        if self.api.rules.is_empty() {
            return Ok(None);
        }
        let method = method.ok_or(Reason::Malformed("The proxy does not forward the original method."))?;
        self.api.rules.decide(method, path).map(Some).ok_or(Reason::Route)
    }

    /// Why a request without a credential is refused; `None` if it may pass. It reveals only one thing about the rules:
    /// which requests are public.
    pub fn without_credential(ruling: &Ruling<'_>) -> Option<Reason> {
        match ruling {
            Ok(Some(rule_match)) if rule_match.is_public() => None,
            Err(Reason::Malformed(why)) => Some(Reason::Malformed(why)),
            _ => Some(Reason::Missing),
        }
    }

    /// Checks a valid credential: its audience, the rule, its scopes, and the quota left in its plan. With `counts`, a
    /// request that may pass is counted.
    pub async fn judge(
        &self,
        now: Timestamp,
        principal: &Principal,
        ruling: Ruling<'a>,
        counts: bool,
    ) -> Result<Judged, Error> {
        if !principal.audience.contains(&self.api.identifier) {
            return Ok(Judged { reason: Some(Reason::Audience), verdict: None });
        }
        let missing = |rule_match: RuleMatch<'_>| {
            let missing = rule_match.missing(&principal.scopes);
            if missing.is_empty() { Ok(()) } else { Err(Reason::Scope(missing.to_string())) }
        };
        let outcome = ruling.and_then(|rule_match| rule_match.map_or(Ok(()), missing));
        let catalog = self.app.catalog.current();
        let plan = principal.quota.as_ref().and_then(|quota| Some((catalog.plans.find(&quota.plan)?, quota)));
        let verdict = match plan {
            Some((plan, quota)) if outcome.is_ok() && counts => {
                self.app.limiter.count(now, plan, &quota.subject, &self.api.id).await?
            }
            // A refused request is not counted, but it still gets the remaining quota, as every known key does.
            Some((plan, quota)) => self.app.limiter.peek(now, plan, &quota.subject, &self.api.id).await?,
            None => None,
        };
        let reason = match (outcome, verdict) {
            (Err(reason), _) => Some(reason),
            (Ok(()), Some(Verdict { exceeded: true, retry_after, .. })) => {
                let why = format!("over the plan's limit; try again in {retry_after} s").into();
                Some(Reason::Limited { retry_after, why })
            }
            (Ok(()), _) => None,
        };
        Ok(Judged { reason, verdict })
    }

    /// The request is allowed for `principal`, or for any caller if there is none.
    pub fn pass(&self, principal: Option<&Principal>, verdict: Option<Verdict>) -> Response {
        let mut response = StatusCode::OK.into_response();
        response.headers_mut().reserve(HEADERS);
        self.finish(response, principal, verdict)
    }

    /// The request is refused.
    pub fn refuse(&self, rejection: &Rejection, verdict: Option<Verdict>) -> Response {
        let mut response = self.refusal(Kind::of(rejection), Details::of(rejection));
        if let Reason::Limited { retry_after, .. } = rejection.reason {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.max(1)));
        }
        self.finish(response, None, verdict)
    }

    /// The server cannot decide now. Other errors are internal errors, in their usual format.
    pub fn fail(&self, error: Error) -> Response {
        if error.code != ErrorCode::TemporarilyUnavailable {
            return BearerError::from(error).into_response();
        }
        let details = Details { reason: Some(error.description.clone()), ..Details::default() };
        let response = self.refusal(Kind::Unavailable, details);
        let status = response.status();
        let mut response = reply::finish(response, error);
        *response.status_mut() = status;
        self.finish(response, None, None)
    }

    fn refusal(&self, kind: Kind, details: Details<'_>) -> Response {
        let refusal = self.api.profile.refusal(kind);
        let details = Details { request_id: self.request_id, api: &self.api.name, ..details };
        let mut response = Response::new(Body::from(refusal.body(&details)));
        *response.status_mut() = refusal.status;
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        headers.insert(header::CONTENT_TYPE, refusal.content_type.clone());
        for (name, value) in refusal.headers(&details) {
            headers.insert(name.clone(), value);
        }
        response
    }

    fn finish(&self, mut response: Response, principal: Option<&Principal>, verdict: Option<Verdict>) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(verdict) = verdict {
            limits(headers, &self.api.profile, verdict);
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
        for (name, value) in self.identity_headers().zip(values) {
            if let Some(name) = name {
                headers.insert(name.clone(), text(value.unwrap_or_default()));
            }
        }
    }

    /// The names of the identity headers, in the order of `config::Gateway::names`; `None` for what is not told.
    pub fn identity_headers(&self) -> impl Iterator<Item = Option<&'a HeaderName>> {
        let own = self.api.profile.upstream.as_ref();
        let (configured, own) = match own {
            None => (self.app.identity_headers.as_slice(), [].as_slice()),
            Some(own) => ([].as_slice(), own.as_slice()),
        };
        configured.iter().map(Some).chain(own.iter().map(Option::as_ref))
    }
}

/// Refuses a credential in the query, unless its API accepts credentials there.
pub fn not_in_url(check: &CredentialCheck<'_>, query: &str) -> Result<(), Reason> {
    if check.is_in_url(query, &[]) {
        return Err(Reason::Malformed("Credentials belong in a header, not in the URL. Revoke this one."));
    }
    Ok(())
}

/// A display name may have characters that no header can carry; then it is empty, never passed through.
fn text(value: &str) -> HeaderValue {
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""))
}

/// What is left of the plan, in the headers that the profile names.
fn limits(headers: &mut HeaderMap, profile: &Dialect, verdict: Verdict) {
    let Verdict { limit, remaining, reset, seconds_left, .. } = verdict;
    for (name, field) in &profile.limits {
        let value = match (field, limit.zip(remaining)) {
            (LimitField::ResetEpoch, _) => reset.into(),
            (LimitField::ResetSeconds, _) => seconds_left.into(),
            (LimitField::ResetDate, _) => text(&Timestamp::from_seconds(reset).rfc3339()),
            (_, None) => continue,
            (LimitField::Limit, Some((limit, _))) => limit.into(),
            (LimitField::Remaining, Some((_, remaining))) => remaining.into(),
            (LimitField::Used, Some((limit, remaining))) => limit.saturating_sub(remaining).into(),
            (LimitField::Period, Some(_)) => WINDOW_SECONDS.into(),
            (LimitField::IetfPolicy, Some((limit, _))) => text(&format!("\"hour\";q={limit};w={WINDOW_SECONDS}")),
            (LimitField::Ietf, Some((_, remaining))) => text(&format!("\"hour\";r={remaining};t={seconds_left}")),
        };
        headers.insert(name.clone(), value);
    }
}
