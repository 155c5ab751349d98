//! Owns `/leaks/secret-scanning`: reports of leaked keys, in the format of GitHub's secret scanning partner program. Keys
//! are revoked in `engine::leaks`.

use std::sync::Arc;

use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    http::{error::OAuthError, extract::RequestInfo, reply},
    model::error::{Error, ErrorCode},
};

/// Maximum number of reported tokens in one request.
pub const REPORTED_MAX: usize = 100;
/// Maximum length of the location named in the mail to the owner, in characters.
const PLACE_MAX: usize = 500;

#[derive(Deserialize)]
struct Reported {
    token: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    url: String,
}

/// The outcome of a report, for the reporter's statistics.
#[derive(Serialize)]
struct Label {
    token_hash: String,
    token_type: String,
    label: &'static str,
}

/// Report leaked keys
///
/// For GitHub's secret scanning, which signs its requests. Each reported key of this server is revoked and its owner notified.
#[utoipa::path(post, path = "/leaks/secret-scanning", tag = "leaks",
    params(("Github-Public-Key-Identifier" = String, Header, description = "Id of the reporter's key that signed the body"),
        ("Github-Public-Key-Signature" = String, Header, description = "ECDSA on P-256 with SHA-256, ASN.1, base64")),
    request_body(content = serde_json::Value, description = "The keys, with the places where they were found"), security(()),
    responses((status = 200, description = "Whether each is a key of this server")))]
pub async fn secret_scanning(
    State(app): State<Arc<App>>,
    info: RequestInfo,
    request: Request,
) -> Result<Response, OAuthError> {
    if !app.leaks.is_configured() {
        return Err(Error::not_found().into());
    }
    let (parts, body) = request.into_parts();
    let too_large = |error| Error::new(ErrorCode::ContentTooLarge, "the body is too large").because(error);
    let body = to_bytes(body, app.config.limits.body_bytes).await.map_err(too_large)?;
    let identifier = one(&parts.headers, "github-public-key-identifier")?;
    let signature = one(&parts.headers, "github-public-key-signature")?;
    if !app.leaks.is_signed(info.now, identifier, signature, &body).await? {
        app.event_counts.count("leak.report", None, &info.origin("anonymous"), Some("invalid signature"));
        return Err(Error::new(ErrorCode::Forbidden, "the signature is not valid").into());
    }
    let malformed =
        |error| Error::invalid_request("the body must be a JSON array of {token, type, url}").because(error);
    let reported: Vec<Reported> = serde_json::from_slice(&body).map_err(malformed)?;
    if reported.len() > REPORTED_MAX {
        return Err(Error::invalid_request(format!("at most {REPORTED_MAX} tokens per report")).into());
    }
    let mut labels = Vec::with_capacity(reported.len());
    for one in reported {
        let place: String = one.url.chars().filter(|c| !c.is_control()).take(PLACE_MAX).collect();
        let place = Some(place.as_str()).filter(|place| !place.is_empty());
        let known = app.leaks.end(info.now, info.origin("secret_scanning"), &one.token, place).await?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, one.token.as_bytes());
        labels.push(Label {
            token_hash: BASE64.encode(digest.as_ref()),
            token_type: one.kind,
            label: if known { "true_positive" } else { "false_positive" },
        });
    }
    Ok(reply::json(&serde_json::json!(labels)))
}

fn one<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Error> {
    let mut values = headers.get_all(name).iter();
    let missing = || Error::new(ErrorCode::Forbidden, "the report is not signed");
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(missing());
    }
    value.to_str().map_err(|_| missing())
}
