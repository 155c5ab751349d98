//! Owns what the gateway's refusals say: status and body, in the form that the API's profile documents.

use serde_json::{Value, json};

use crate::model::profile::Profile;

/// Why a request is refused, as the API's own users are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GatewayError {
    /// No credential.
    Missing,
    /// Not valid here.
    Invalid,
    /// An access token past its end.
    Expired,
    /// Valid, but not for this.
    Forbidden {
        /// The scopes that are missing, space-delimited; empty where no rule allows the request.
        scope: String,
    },
    /// Too many requests.
    Limited {
        /// Seconds to wait.
        retry_after: i64,
    },
    /// The request itself cannot be judged.
    Malformed(&'static str),
}

impl GatewayError {
    /// Its HTTP status.
    #[must_use]
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Missing | Self::Invalid | Self::Expired => 401,
            Self::Forbidden { .. } => 403,
            Self::Limited { .. } => 429,
            Self::Malformed(_) => 400,
        }
    }

    /// The body, in the form of this profile.
    #[must_use]
    pub(super) fn body(&self, profile: Profile) -> Value {
        let (code, message) = self.message(profile);
        match profile {
            Profile::Ensemble => json!({ "success": false, "error": { "code": code, "message": message } }),
            _ => json!({ "error": code, "message": message }),
        }
    }

    fn message(&self, profile: Profile) -> (&'static str, String) {
        let (code, message) = match self {
            Self::Missing => ("missing_api_key", format!("No API key provided in the {} header.", header(profile))),
            Self::Invalid => ("invalid_api_key", "The API key provided is invalid.".to_owned()),
            Self::Expired => ("token_expired", "The access token has expired.".to_owned()),
            Self::Forbidden { scope } if scope.is_empty() => {
                ("forbidden", "No rule of this API allows the request.".to_owned())
            }
            Self::Forbidden { scope } => ("insufficient_scope", format!("This needs the scope {scope}.")),
            Self::Limited { retry_after } => {
                ("rate_limit_exceeded", format!("Rate limit exceeded. Try again in {retry_after} seconds."))
            }
            Self::Malformed(why) => ("invalid_request", (*why).to_owned()),
        };
        if profile != Profile::Ensemble {
            return (code, message);
        }
        match self {
            Self::Missing | Self::Invalid | Self::Expired => ("UNAUTHORIZED", "Invalid API key".to_owned()),
            Self::Forbidden { .. } => ("FORBIDDEN", "Insufficient permissions for this resource".to_owned()),
            Self::Limited { .. } => ("RATE_LIMITED", message),
            Self::Malformed(_) => ("BAD_REQUEST", message),
        }
    }
}

/// The header that carries the credential, as the profile documents it.
fn header(profile: Profile) -> &'static str {
    match profile {
        Profile::TelemetryHarbor | Profile::ApiKeyModule => "X-API-Key",
        Profile::Iapm => "API-Key",
        Profile::Bearer | Profile::Ensemble => "Authorization",
    }
}
