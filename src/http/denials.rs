//! Owns noting a refused request, so that the owner of what it carried can ask why.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use super::extract::RequestInfo;
use crate::{
    app::App,
    meters::Count,
    model::{
        denial::{DenialRecord, DeniedRequest},
        principal::{Presentation, Rejection},
    },
};

/// How people name a credential in a URL, where it does not belong (RFC 6750 §5.3).
const IN_URLS: [&str; 3] = ["api_key", "apikey", "access_token"];

impl RequestInfo {
    /// Who presents what this request carries; from where, only as far as it is known.
    #[must_use]
    pub fn presentation<'h>(&self, headers: &'h HeaderMap) -> Presentation<'h> {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Presentation { address: self.is_sender.then_some(self.address), agent }
    }

    /// Notes that what this request carried was refused with `status`, and counts it. With `api`, that API's slug.
    pub fn record_rejection(&self, app: &App, status: u16, api: Option<&str>, denied: Rejection, asked: DeniedRequest) {
        let reason = denied.why(self.now);
        self.record_rejection_because(app, (status, reason), api, denied, asked);
    }

    /// The same with a reason of its own, where what was presented is good and yet not enough.
    pub fn record_rejection_because(
        &self,
        app: &App,
        (status, reason): (u16, String),
        api: Option<&str>,
        denied: Rejection,
        asked: DeniedRequest,
    ) {
        // Counted with others of its sender too: the record is one of a bounded number.
        app.event_counts.count("credential", None, &self.origin("anonymous"), Some(denied.reason.as_str()));
        self.record_denial(app, api, None, DenialRecord::of(self.now, status, reason, denied, asked));
    }

    /// Keeps for its owner why it was refused, where it is counted elsewhere or not at all; with `address`, that of another
    /// sender than the one who asked us.
    pub fn record_denial(&self, app: &App, api: Option<&str>, address: Option<IpAddr>, mut record: DenialRecord) {
        // Introspection answers 200 and is counted as credentials checked.
        if record.status >= 400
            && let Some(kind) = record.kind
        {
            app.telemetry.refusals.with(kind.as_str(), Count::one);
        }
        record.request_id.clone_from(&self.id);
        record.api = api.map(ToOwned::to_owned);
        record.address = address.unwrap_or(self.address).to_string();
        app.denials.note(record);
    }
}

/// Whether a query names a credential (RFC 6750 §2.3 is not supported: URLs are logged).
#[must_use]
pub fn names_credential(query: &str, more: &[&str]) -> bool {
    let is_one = |name: &str| IN_URLS.iter().chain(more).any(|known| known.eq_ignore_ascii_case(name));
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| is_one(&name))
}
