//! Owns the message of a refused credential, in the form that an API's profile documents.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::model::{
    principal::{CredentialKind, Rejection},
    profile::Profile,
    reason::Reason,
};

/// The response body.
pub fn body(profile: Profile, rejection: &Rejection) -> Value {
    let (code, message) = message(profile, rejection);
    if profile != Profile::Ensemble {
        return json!({ "error": code, "message": message });
    }
    let (code, message) = match rejection.reason.status() {
        401 => ("UNAUTHORIZED", "Invalid API key".into()),
        403 => ("FORBIDDEN", "Insufficient permissions for this resource".into()),
        429 => ("RATE_LIMITED", message),
        _ => ("BAD_REQUEST", message),
    };
    json!({ "success": false, "error": { "code": code, "message": message } })
}

/// Code and message. An expired access token is reported as such; all other unaccepted credentials look alike.
pub fn message(profile: Profile, rejection: &Rejection) -> (&'static str, Cow<'static, str>) {
    match &rejection.reason {
        Reason::Missing => {
            ("missing_api_key", format!("No API key provided in the {} header.", header(profile)).into())
        }
        Reason::Expired(_) if rejection.kind == Some(CredentialKind::AccessToken) => {
            ("token_expired", "The access token has expired.".into())
        }
        Reason::Scope(scope) => ("insufficient_scope", format!("This needs the scope {scope}.").into()),
        Reason::Limited { retry_after, .. } => {
            ("rate_limit_exceeded", format!("Rate limit exceeded. Try again in {retry_after} seconds.").into())
        }
        Reason::Malformed(why) => ("invalid_request", (*why).into()),
        reason if reason.status() == 403 => ("forbidden", "No rule of this API allows the request.".into()),
        _ => ("invalid_api_key", "The API key provided is invalid.".into()),
    }
}

/// The header that carries the credential, as documented by the profile.
fn header(profile: Profile) -> &'static str {
    match profile {
        Profile::TelemetryHarbor | Profile::ApiKeyModule => "X-API-Key",
        Profile::Iapm => "API-Key",
        Profile::Bearer | Profile::Ensemble => "Authorization",
    }
}
