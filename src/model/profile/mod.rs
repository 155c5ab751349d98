//! Owns profiles: the formats of an API, as data. A profile is a TOML text. It is validated when it is saved, and compiled
//! into a [`Dialect`] when it is loaded. What belongs here: the settings of a profile. Not here: responses; see `gateway`.

mod answer;
mod changes;
mod compile;
mod dialect;
mod escape;
mod place;
mod refusal;
mod shipped;
mod template;

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use self::place::{Conflict, Place};
use super::{error::Error, key::KeyForm, project::KeyTerms};

pub use self::{
    answer::{Holder, OwnAnswer},
    changes::changes,
    dialect::{Dialect, LimitField, Refusal},
    place::Places,
    refusal::{Details, Kind},
    shipped::{DEFAULT, Shipped, shipped},
};

/// Longest text of a profile, in bytes.
pub const PROFILE_MAX: usize = 16 * 1024;
/// Longest name, in bytes.
pub const NAME_MAX: usize = 60;

/// The settings of a profile.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The places where credentials are accepted, in order.
    places: Vec<Place>,
    /// What two different credentials in one request mean.
    #[serde(default)]
    conflict: Conflict,
    /// The body of refusals.
    body: String,
    /// Its media type.
    #[serde(default = "json")]
    content_type: String,
    /// A page about errors, for the placeholder `docs_url`.
    docs_url: Option<String>,
    /// The challenge of refusals with status 401.
    challenge: Option<Challenge>,
    /// The settings of each kind of refusal.
    #[serde(default)]
    refusals: Refusals,
    /// The headers that report what is left of the plan.
    #[serde(default)]
    rate_limits: RateLimits,
    /// The headers that identify the caller to the upstream, instead of those of the configuration.
    upstream: Option<Upstream>,
    /// Paths that grantd answers itself.
    #[serde(default)]
    answers: Vec<Answer>,
    /// The policy suggested to new projects.
    #[serde(default)]
    keys: Keys,
}

/// The policy of a project's keys, unless its creator chooses another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPolicy {
    /// The form of its keys.
    pub form: KeyForm,
    /// Whether at most one of its keys is active at a time.
    pub one_live_key: bool,
    /// Other properties of its keys.
    pub terms: KeyTerms,
}

/// The policy as a profile writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    form: Option<String>,
    #[serde(default)]
    one_live_key: bool,
    prefix: Option<String>,
    #[serde(default)]
    environments: Vec<String>,
    expires_in: Option<String>,
}

/// A path of the API that grantd answers itself, such as "who am I?".
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    path: String,
    body: String,
    /// The body without a credential; without it, a credential is needed.
    anonymous: Option<String>,
    content_type: Option<String>,
}

fn json() -> String {
    "application/json".to_owned()
}

/// `WWW-Authenticate` (RFC 9110 §11.6.1).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Challenge {
    scheme: String,
    realm: Option<String>,
}

/// The settings of each kind of refusal; see [`Kind`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusals {
    missing: Option<RefusalText>,
    invalid: Option<RefusalText>,
    expired_token: Option<RefusalText>,
    expired_key: Option<RefusalText>,
    revoked: Option<RefusalText>,
    forbidden: Option<RefusalText>,
    scope: Option<RefusalText>,
    unknown_path: Option<RefusalText>,
    limited: Option<RefusalText>,
    malformed: Option<RefusalText>,
    unavailable: Option<RefusalText>,
}

impl Refusals {
    fn get(&self, kind: Kind) -> Option<&RefusalText> {
        match kind {
            Kind::Missing => &self.missing,
            Kind::Invalid => &self.invalid,
            Kind::ExpiredToken => &self.expired_token,
            Kind::ExpiredKey => &self.expired_key,
            Kind::Revoked => &self.revoked,
            Kind::Forbidden => &self.forbidden,
            Kind::Scope => &self.scope,
            Kind::UnknownPath => &self.unknown_path,
            Kind::Limited => &self.limited,
            Kind::Malformed => &self.malformed,
            Kind::Unavailable => &self.unavailable,
        }
        .as_ref()
    }
}

/// The settings of one kind; a missing one has grantd's default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalText {
    status: Option<u16>,
    code: Option<Code>,
    message: Option<String>,
    body: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// A code, a text or a number.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a code is a text or a number")]
enum Code {
    Number(i64),
    Text(String),
}

/// Names and forms of the headers that report what is left of the plan.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimits {
    limit: Option<String>,
    remaining: Option<String>,
    used: Option<String>,
    period: Option<String>,
    reset: Option<String>,
    #[serde(default)]
    reset_form: ResetForm,
    #[serde(default)]
    ietf: bool,
}

/// When a window ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ResetForm {
    /// Seconds since 1970.
    #[default]
    Epoch,
    /// Seconds from now.
    Seconds,
    /// A date and time (RFC 3339).
    Date,
}

/// The headers that identify the caller to the upstream. Missing ones are not sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Upstream {
    subject: Option<String>,
    user: Option<String>,
    client: Option<String>,
    key: Option<String>,
    project: Option<String>,
    environment: Option<String>,
    plan: Option<String>,
    scopes: Option<String>,
    credential: Option<String>,
}

impl Upstream {
    /// Every name, in the order of `config::Gateway::names`.
    fn names(&self) -> [(&'static str, &Option<String>); 9] {
        [
            ("subject", &self.subject),
            ("user", &self.user),
            ("client", &self.client),
            ("key", &self.key),
            ("project", &self.project),
            ("environment", &self.environment),
            ("plan", &self.plan),
            ("scopes", &self.scopes),
            ("credential", &self.credential),
        ]
    }
}

/// What is wrong, and where: the path of a setting, such as `refusals.missing.status`.
#[derive(Debug)]
struct Wrong {
    at: String,
    why: String,
}

impl Wrong {
    fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self { at: at.into(), why: why.into() }
    }
}

/// Compiles the text of a profile.
pub fn compile(name: &str, text: &str) -> Result<Dialect, Error> {
    if text.len() > PROFILE_MAX {
        return Err(Error::invalid_request(format!("a profile has at most {} KB", PROFILE_MAX / 1024)));
    }
    let profile: Profile = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line(text, span.start));
        let why = error.message().replace('\n', ", ");
        Error::invalid_request(format!("line {line}: {why}"))
    })?;
    profile.compile(name).map_err(|Wrong { at, why }| {
        let start = DeTable::parse(text).ok().and_then(|table| start(&DeValue::Table(table.into_inner()), &at));
        let line = start.map_or(1, |start| line(text, start));
        Error::invalid_request(format!("line {line}, {at}: {why}"))
    })
}

/// Where the value at this path starts, or the nearest table around it.
fn start(value: &DeValue<'_>, path: &str) -> Option<usize> {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    let DeValue::Table(table) = value else { return None };
    let found = table.get(name)?;
    start(found.get_ref(), rest).or(Some(found.span().start))
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
}

/// The name of a profile.
pub fn name(text: &str) -> Result<String, Error> {
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if text.len() > NAME_MAX || !text.split('-').all(is_plain) {
        let message = format!("a profile's name has 1 to {NAME_MAX} lower-case letters, digits and dashes");
        return Err(Error::invalid_request(message));
    }
    Ok(text.to_owned())
}
