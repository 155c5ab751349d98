//! Owns testing a request to an API, with its own profile or another: what the caller and the upstream would get.
//! The request is not counted, and not recorded as a use of its credential.

use std::sync::Arc;

use axum::{
    body::to_bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::{
    apis::find,
    auth::{Admin, ApisRead},
    json::JsonBody,
    path::Id,
};
use crate::{
    app::App,
    engine::{profiles, verify::Verification},
    http::{
        credential::CredentialCheck,
        decision::{Decision, Judged, Ruling},
        problem::Problem,
        reply,
    },
    model::{clock::Timestamp, error::Error, principal::Rejection, profile},
};

/// Maximum number of headers of a request to test.
const HEADERS_MAX: usize = 50;
/// Longest name and value of one, in bytes.
const NAME_MAX: usize = 64;
const VALUE_MAX: usize = 1000;
/// Longest body of a refusal, in bytes.
const BODY_MAX: usize = 64 * 1024;

/// A request to test.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Such as `GET`, the default
    #[schema(format = "method")]
    method: Option<String>,
    /// Path and query, such as `/v1/users?limit=5`
    target: String,
    /// Its headers, with the credential
    #[serde(default)]
    headers: Vec<Header>,
    /// Name of the profile to use instead of the API's
    #[schema(format = "profile")]
    profile: Option<String>,
    /// Definition of the profile to use instead of the API's, as TOML. Not with `profile`
    #[schema(format = "profile-text")]
    definition: Option<String>,
}

/// A header.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name
    #[schema(format = "header-name")]
    name: String,
    /// Its value
    #[schema(format = "header-value")]
    value: String,
}

/// What a request would get.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// Whether it would be allowed
    passes: bool,
    /// Why not, as the owner of the credential is told
    reason: Option<String>,
    /// The status of the refusal; 200 if it is allowed
    status: u16,
    /// Headers for the caller: those of the refusal, or those added to the API's response
    headers: Vec<Header>,
    /// The body of the refusal
    body: String,
    /// Headers that identify the caller to the API
    upstream: Vec<Header>,
}

/// Test a request
///
/// Returns what a caller of this API would get, and what the API would get. With `profile` or `definition`, that profile is
/// used instead of the API's. The request is not counted.
#[utoipa::path(post, path = "/api/v1/apis/{id}/test", tag = "apis", params(("id" = String, Path, format = "id")),
    request_body = Trial, responses((status = 200, body = Answer)))]
pub async fn try_request(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<ApisRead>,
    Id(id): Id,
    JsonBody { value: sent, .. }: JsonBody<Trial>,
) -> Result<Response, Problem> {
    let mut api = find(&app, &id)?;
    match (&sent.profile, &sent.definition) {
        (None, None) => {}
        (Some(name), None) => api.profile = profiles::named(app.engine(), name).await?.dialect,
        (None, Some(text)) => api.profile = Arc::new(profile::compile("tried", text)?),
        (Some(_), Some(_)) => return Err(Error::invalid_request("send either profile or definition, not both").into()),
    }
    let headers = header_map(&sent.headers)?;
    let (now, decision) = (caller.info.now, Decision { app: &app, request_id: &caller.info.id, api: &api });
    let check = CredentialCheck::of(&app, &caller.info, &headers, Some(&api));
    let ruling = decision.ruling(&check, Some(method(sent.method.as_deref())?), &sent.target);
    Ok(reply::json(&decide(&decision, &check, now, &headers, &sent.target, ruling).await?))
}

/// As the gateway decides, but nothing is counted.
async fn decide(
    decision: &Decision<'_>,
    check: &CredentialCheck<'_>,
    now: Timestamp,
    headers: &HeaderMap,
    target: &str,
    ruling: Ruling<'_>,
) -> Result<Answer, Error> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let refuse = async |rejection: Rejection, verdict| {
        let why = rejection.reason.owner_text(now).into_owned();
        Answer::of(decision, decision.refuse(&rejection, verdict), Some(why)).await
    };
    let verified = match decision.api.profile.credential(headers, query) {
        Ok(Some(credential)) => check.verify(&credential).await?,
        Ok(None) => {
            return match Decision::without_credential(&ruling) {
                None => Answer::of(decision, decision.pass(None, None), None).await,
                Some(reason) => refuse(Rejection::unknown(reason), None).await,
            };
        }
        Err(reason) => Rejection::unknown(reason).into(),
    };
    let used = match verified {
        Verification::Rejected(rejection) => return refuse(rejection, None).await,
        Verification::Accepted(used) => used,
    };
    let principal = used.principal();
    match decision.judge(now, principal, ruling, false).await? {
        Judged { reason: None, verdict } => Answer::of(decision, decision.pass(Some(principal), verdict), None).await,
        Judged { reason: Some(reason), verdict } => refuse(Rejection::of(reason, principal), verdict).await,
    }
}

impl Answer {
    async fn of(decision: &Decision<'_>, response: Response, reason: Option<String>) -> Result<Self, Error> {
        let (parts, body) = response.into_parts();
        let names: Vec<&HeaderName> = decision.identity_headers().flatten().collect();
        let shown = |(name, value): (&HeaderName, &HeaderValue)| Header {
            name: name.as_str().to_owned(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        let (upstream, headers): (Vec<_>, Vec<_>) = parts.headers.iter().partition(|(name, _)| names.contains(name));
        let passes = reason.is_none();
        let body = to_bytes(body, BODY_MAX).await.map_err(Error::server)?;
        Ok(Self {
            passes,
            reason,
            status: parts.status.as_u16(),
            headers: headers.into_iter().map(shown).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
            upstream: upstream.into_iter().filter(|(_, value)| passes && !value.is_empty()).map(shown).collect(),
        })
    }
}

fn header_map(sent: &[Header]) -> Result<HeaderMap, Error> {
    if sent.len() > HEADERS_MAX {
        return Err(Error::invalid_request(format!("a request to test has at most {HEADERS_MAX} headers")));
    }
    let mut headers = HeaderMap::new();
    for Header { name, value } in sent {
        let wrong = || Error::invalid_request("a header has a name of letters, digits and dashes, and an ASCII value");
        let is_name = name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_name || value.len() > VALUE_MAX || !value.chars().all(|c| matches!(c, ' '..='~')) {
            return Err(wrong());
        }
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| wrong())?;
        headers.append(HeaderName::try_from(name.as_str()).map_err(|_| wrong())?, value);
    }
    Ok(headers)
}

fn method(text: Option<&str>) -> Result<&str, Error> {
    let text = text.unwrap_or("GET");
    match text {
        "*" => Ok(text),
        _ if (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic()) => Ok(text),
        _ => Err(Error::invalid_request("a method is a word such as GET")),
    }
}
