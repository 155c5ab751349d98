//! Owns the compiled form of a profile: it is valid, and nothing has to be parsed for a request.

use std::borrow::Cow;

use http_types::{HeaderMap, HeaderValue, StatusCode, header::HeaderName};

use super::{
    KeyPolicy,
    answer::OwnAnswer,
    place::Places,
    refusal::{Details, Kind},
    template::{Placeholder, Template, Value},
};
use crate::model::{principal::Rejection, reason::Reason};

/// A profile, compiled.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// The profile's name.
    pub name: String,
    /// Where credentials are accepted.
    pub places: Places,
    /// One for each kind, in the order of `Kind::ALL`.
    pub(super) refusals: Vec<Refusal>,
    /// The headers that report what is left of the plan.
    pub limits: Vec<(HeaderName, LimitField)>,
    /// The headers that identify the caller to the upstream, in the order of `config::Gateway::names`; `None` for those
    /// of the configuration.
    pub upstream: Option<[Option<HeaderName>; 9]>,
    /// Paths that grantd answers itself.
    pub(super) answers: Vec<OwnAnswer>,
    /// The policy suggested to new projects.
    pub keys: KeyPolicy,
}

/// What a header reports about a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitField {
    /// Requests per window.
    Limit,
    /// Requests left.
    Remaining,
    /// Requests made.
    Used,
    /// Length of the window, in seconds.
    Period,
    /// When the window ends, in seconds since 1970.
    ResetEpoch,
    /// When it ends, in seconds from now.
    ResetSeconds,
    /// When it ends, as date and time.
    ResetDate,
    /// `RateLimit` (draft-ietf-httpapi-ratelimit-headers).
    Ietf,
    /// `RateLimit-Policy`.
    IetfPolicy,
}

/// The response to one kind of refusal.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// Media type of the body.
    pub content_type: HeaderValue,
    pub(super) body: Template,
    pub(super) headers: Vec<(HeaderName, HeaderText)>,
}

#[derive(Clone, Debug)]
pub(super) enum HeaderText {
    Fixed(HeaderValue),
    Filled(Template),
}

impl Dialect {
    /// The refusal of this kind.
    pub fn refusal(&self, kind: Kind) -> &Refusal {
        // There is one for each kind.
        &self.refusals[kind as usize]
    }

    /// The status with which a rejection is answered.
    pub fn status(&self, rejection: &Rejection) -> u16 {
        self.refusal(Kind::of(rejection)).status.as_u16()
    }

    /// The answer of grantd itself at this path.
    pub fn answer(&self, path: &str) -> Option<&OwnAnswer> {
        self.answers.iter().find(|answer| answer.path == path)
    }

    /// The only credential of a request; if two differ, the request is refused.
    pub fn credential<'r>(&self, headers: &'r HeaderMap, query: &'r str) -> Result<Option<Cow<'r, str>>, Reason> {
        self.places.read(headers, query)
    }
}

impl Refusal {
    /// The body for a request.
    pub fn body(&self, details: &Details<'_>) -> String {
        self.body.render(|placeholder| value(placeholder, details))
    }

    /// Its own headers for a request, the challenge among them.
    pub fn headers<'r>(&'r self, details: &'r Details<'_>) -> impl Iterator<Item = (&'r HeaderName, HeaderValue)> {
        self.headers.iter().filter_map(move |(name, text)| {
            let value = match text {
                HeaderText::Fixed(value) => value.clone(),
                HeaderText::Filled(template) => {
                    HeaderValue::try_from(template.render(|placeholder| value(placeholder, details))).ok()?
                }
            };
            Some((name, value))
        })
    }
}

fn value<'d>(placeholder: Placeholder, details: &'d Details<'_>) -> Value<'d> {
    match placeholder {
        Placeholder::RequestId => Value::Text(details.request_id),
        Placeholder::Api => Value::Text(details.api),
        Placeholder::Scope => details.scope.map_or(Value::Nothing, Value::Text),
        Placeholder::RetryAfter => details.retry_after.map_or(Value::Nothing, Value::Number),
        Placeholder::Reason => details.reason.as_deref().map_or(Value::Nothing, Value::Text),
        // Filled in when the profile was compiled, or refused there.
        _ => Value::Nothing,
    }
}
