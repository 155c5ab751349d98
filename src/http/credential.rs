//! Owns a presented credential from its arrival to the end of its request: one lookup, and one place that records its
//! use, its refusal and their counts. Does not decide validity; see `engine::verify`.

use axum::http::{HeaderMap, header};

use super::extract::RequestInfo;
use crate::{
    app::App,
    engine::{
        limit::Throttle,
        verify::{Accepted, Verification, Verified},
    },
    meters::Count,
    model::{
        api::Api,
        denial::{DenialRecord, DeniedRequest},
        error::Error,
        principal::{Presentation, Principal, Rejection},
        reason::Reason,
        usage::Outcome,
    },
};

/// Usual names of a credential in a URL, where it does not belong (RFC 6750 §5.3).
const IN_URLS: [&str; 3] = ["api_key", "apikey", "access_token"];

/// The context in which a credential is presented.
#[derive(Clone, Copy, Debug)]
pub struct CredentialCheck<'c> {
    /// The application.
    pub app: &'c App,
    /// Properties of the request, determined at the edge.
    pub info: &'c RequestInfo,
    /// The address and user agent, as far as they are known.
    pub from: Presentation<'c>,
    /// The API that it is for, if known.
    pub api: Option<&'c Api>,
    /// The client that introspects it; `None` if the holder presents it.
    pub introspected_by: Option<&'c str>,
}

/// An accepted credential whose request has not ended.
#[derive(Debug)]
#[must_use = "a use is recorded when it ends: allow or deny it"]
pub struct Use<'c> {
    check: &'c CredentialCheck<'c>,
    verified: Verified,
}

impl<'c> CredentialCheck<'c> {
    /// For a request by the holder.
    pub fn of(app: &'c App, info: &'c RequestInfo, headers: &'c HeaderMap, api: Option<&'c Api>) -> Self {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let from = Presentation { address: info.is_sender.then_some(info.address), agent };
        Self { app, info, from, api, introspected_by: None }
    }

    /// Verifies `credential`. A holder who tried too many unknown ones is told to wait, unless this node accepted the
    /// credential before: attempts by others behind the same address cannot lock a holder out.
    pub async fn verify(&self, credential: &str) -> Result<Verification<Use<'_>>, Error> {
        let (app, info) = (self.app, self.info);
        let by_holder = self.introspected_by.is_none();
        if by_holder && let Err(Error { retry_after, description: why, .. }) = admit(app, info, credential) {
            let retry_after = retry_after.unwrap_or_default();
            return Ok(Rejection::unknown(Reason::Limited { retry_after, why }).into());
        }
        Ok(match app.verifier.verify(info.now, credential, &self.from).await? {
            Verification::Accepted(verified) => Verification::Accepted(Use { check: self, verified }),
            Verification::Rejected(rejection) => {
                // A text that cannot be a key was refused without a lookup, and costs no more the next time.
                if by_holder && rejection.reason == Reason::Unknown && app.verifier.may_be_api_key(credential) {
                    missed(app, info).await;
                }
                rejection.into()
            }
        })
    }

    /// Records a rejection by the verifier: as a denied use of the key, and as [`Self::refuse`] does.
    pub fn deny(&self, rejection: Rejection, asked: DeniedRequest) -> Rejection {
        if let Some(key_id) = &rejection.key_id {
            self.app.verifier.count_rejected(key_id);
        }
        self.refuse(rejection, asked)
    }

    /// Records, for the audit log and the owner, a refusal that is no use of a key or was already counted as one.
    pub fn refuse(&self, rejection: Rejection, asked: DeniedRequest) -> Rejection {
        let (event, actor) = self.introspected_by.map_or(("credential", "anonymous"), |client| ("introspect", client));
        let reason = Some(rejection.reason.as_str());
        // Also added to this sender's totals: only a bounded number of individual records is kept.
        self.app.event_counts.count(event, self.introspected_by, &self.info.origin(actor), reason);
        if self.introspected_by.is_none() || rejection.user_id.is_some() {
            self.record(&rejection, asked);
        }
        rejection
    }

    /// Records only for the owner why a request was refused.
    pub fn record(&self, rejection: &Rejection, asked: DeniedRequest) {
        // Introspection answers 200 and is counted as a credential check.
        let told = || self.api.map_or_else(|| rejection.reason.status(), |api| api.profile.status(rejection));
        let status = if self.introspected_by.is_some() { 200 } else { told() };
        if status >= 400 {
            self.app.telemetry.refusals.with(rejection.reason.as_str(), Count::one);
        }
        self.app.denials.note(DenialRecord {
            request_id: self.info.id.clone(),
            api: self.api.map(|api| api.slug.clone()),
            address: self.from.address.unwrap_or(self.info.address).to_string(),
            ..DenialRecord::of(self.info.now, status, rejection, asked)
        });
    }

    /// Whether a query names a credential where the API's profile has none; if so, counts it. RFC 6750 §2.3 is supported
    /// only by such a profile, since URLs are logged.
    pub fn is_in_url(&self, query: &str, more: &[&str]) -> bool {
        let is_place = |name: &str| self.api.is_some_and(|api| api.profile.places.has_parameter(name));
        let is_one =
            |name: &str| IN_URLS.iter().chain(more).any(|known| known.eq_ignore_ascii_case(name)) && !is_place(name);
        let is_named = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| is_one(&name));
        if is_named {
            let (origin, outcome) = (self.info.origin("anonymous"), "a credential was sent in a URL");
            self.app.event_counts.count("credential_in_url", None, &origin, Some(outcome));
        }
        is_named
    }
}

impl Use<'_> {
    /// The principal of the credential.
    pub fn principal(&self) -> &Principal {
        &self.verified.value.principal
    }

    /// The credential as it was accepted.
    pub fn accepted(&self) -> &Accepted {
        &self.verified.value
    }

    /// Records that the request was allowed.
    pub fn allow(self) -> Verified {
        self.count(Outcome::Allowed);
        self.verified
    }

    /// Records that the credential is valid but the request was refused.
    pub fn deny(self, reason: Reason, mut asked: DeniedRequest) -> Rejection {
        self.count(if matches!(reason, Reason::Limited { .. }) { Outcome::Limited } else { Outcome::Denied });
        if let Reason::Scope(needs) = &reason {
            asked.needs = Some(needs.clone());
        }
        if reason.status() == 403 {
            asked.holds = self.check.api.map(|api| api.own_scopes(&self.principal().scopes));
        }
        self.check.refuse(Rejection::of(reason, self.principal()), asked)
    }

    fn count(&self, outcome: Outcome) {
        self.check.app.verifier.count_use(self.check.info.now, &self.verified, outcome, &self.check.from);
    }
}

/// Whether the store may be queried for a credential that may be a key.
pub fn admit(app: &App, info: &RequestInfo, credential: &str) -> Result<(), Error> {
    match app.limiter.known_retry_after(info.now, guard(app), || info.network()) {
        Some(wait) if app.verifier.may_be_api_key(credential) && !app.verifier.has_accepted(credential) => {
            Err(Error::too_many(wait, "too many unknown credentials from this address; try again later"))
        }
        _ => Ok(()),
    }
}

/// Counts a lookup of an unknown key.
pub async fn missed(app: &App, info: &RequestInfo) {
    app.limiter.hit(info.now, guard(app), &info.network()).await;
}

fn guard(app: &App) -> Throttle {
    Throttle::credentials(app.config.limits.unknown_credentials_per_address)
}
