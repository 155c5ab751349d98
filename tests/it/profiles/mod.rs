//! Owns the tests of profiles as data: their settings, invalid ones, and the refusals they produce.

mod places;
mod shipped;
mod templates;
mod wrong;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use grantd::model::{
    clock::Timestamp,
    principal::{CredentialKind, Rejection},
    profile::{self, Details, Dialect, Kind},
    reason::Reason,
};

/// The rest of a profile whose first lines a test gives.
const BODY: &str = "body = '{\"error\":\"{code}\",\"message\":\"{message}\"}'\n";
const PLACES: &str = "places = [{ header = \"X-Key\" }]\n";

#[track_caller]
fn compiled(text: &str) -> Dialect {
    profile::compile("test", text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Why a profile is refused.
#[track_caller]
fn refused(text: &str) -> String {
    profile::compile("test", text).err().unwrap_or_else(|| panic!("accepted: {text}")).description.into_owned()
}

fn headers(all: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in all {
        map.append(HeaderName::try_from(*name).expect("a name"), HeaderValue::try_from(*value).expect("a value"));
    }
    map
}

/// A rejection of each kind.
fn rejections() -> Vec<Rejection> {
    let of = |reason, kind| Rejection { kind: Some(kind), ..Rejection::unknown(reason) };
    let key = |reason| of(reason, CredentialKind::ApiKey);
    vec![
        Rejection::unknown(Reason::Missing),
        Rejection::unknown(Reason::Unknown),
        of(Reason::Expired(None), CredentialKind::AccessToken),
        key(Reason::Expired(Some(Timestamp(0)))),
        key(Reason::Revoked(None)),
        key(Reason::Forbidden("not this")),
        key(Reason::Scope("read write".to_owned())),
        key(Reason::Route),
        key(Reason::Limited { retry_after: 7, why: "over the plan".into() }),
        Rejection::unknown(Reason::Malformed("The path is ambiguous.")),
    ]
}

/// Status, body and challenge of a rejection.
fn told(dialect: &Dialect, rejection: &Rejection) -> (u16, String, String) {
    let refusal = dialect.refusal(Kind::of(rejection));
    let details = Details { request_id: "req_1", api: "My API", ..Details::of(rejection) };
    let challenge = refusal.headers(&details).find(|(name, _)| *name == "www-authenticate");
    let challenge = challenge.map(|(_, value)| value.to_str().expect("text").to_owned()).unwrap_or_default();
    (refusal.status.as_u16(), refusal.body(&details), challenge)
}
