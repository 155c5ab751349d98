//! Owns how one API speaks: which headers carry a credential and what its refusals look like. One preset per provider
//! whose documentation we follow to the letter. Does not decide anything.

use serde_json::{Value, json};

/// A preset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// `X-API-Key`, a key per harbor.
    TelemetryHarbor,
    /// `Authorization: Bearer`, keys and OAuth on one API.
    #[default]
    Bearer,
    /// Bearer, errors wrapped in `success: false`.
    Ensemble,
    /// `x-api-key`.
    ApiKeyModule,
    /// `API-Key`, UUID keys, one live key per grid.
    Iapm,
}

/// Where a credential may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer,
    /// A header of its own, named in lower case.
    Header(&'static str),
}

/// Why a request is refused, as the API's own users are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayError {
    /// No credential.
    Missing,
    /// Not valid here.
    Invalid,
    /// An access token past its end.
    Expired,
    /// Valid, but not for this.
    Forbidden {
        /// The scopes that are missing, space-delimited; empty where no route allows the request.
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

impl Profile {
    /// Every preset.
    pub const ALL: [Self; 5] = [Self::TelemetryHarbor, Self::Bearer, Self::Ensemble, Self::ApiKeyModule, Self::Iapm];

    /// The preset's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TelemetryHarbor => "telemetry-harbor",
            Self::Bearer => "bearer",
            Self::Ensemble => "ensemble",
            Self::ApiKeyModule => "api-key-module",
            Self::Iapm => "iapm",
        }
    }

    /// The preset of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == text)
    }

    /// Where credentials may stand, the API's own header first. Bearer is understood everywhere: OAuth apps send it.
    #[must_use]
    pub fn carriers(self) -> &'static [Carrier] {
        match self {
            Self::TelemetryHarbor | Self::ApiKeyModule => &[Carrier::Header("x-api-key"), Carrier::Bearer],
            Self::Iapm => &[Carrier::Header("api-key"), Carrier::Bearer],
            Self::Bearer | Self::Ensemble => &[Carrier::Bearer],
        }
    }

    /// The body of a refusal.
    #[must_use]
    pub fn body(self, refusal: &GatewayError) -> Value {
        let (code, message) = self.message(refusal);
        match self {
            Self::Ensemble => json!({ "success": false, "error": { "code": code, "message": message } }),
            _ => json!({ "error": code, "message": message }),
        }
    }

    fn message(self, refusal: &GatewayError) -> (&'static str, String) {
        let (code, message) = match refusal {
            GatewayError::Missing => {
                ("missing_api_key", format!("No API key provided in the {} header.", self.header()))
            }
            GatewayError::Invalid => ("invalid_api_key", "The API key provided is invalid.".to_owned()),
            GatewayError::Expired => ("token_expired", "The access token has expired.".to_owned()),
            GatewayError::Forbidden { scope } if scope.is_empty() => {
                ("forbidden", "No route of this API allows the request.".to_owned())
            }
            GatewayError::Forbidden { scope } => ("insufficient_scope", format!("This needs the scope {scope}.")),
            GatewayError::Limited { retry_after } => {
                ("rate_limit_exceeded", format!("Rate limit exceeded. Try again in {retry_after} seconds."))
            }
            GatewayError::Malformed(why) => ("invalid_request", (*why).to_owned()),
        };
        if self != Self::Ensemble {
            return (code, message);
        }
        match refusal {
            GatewayError::Missing | GatewayError::Invalid | GatewayError::Expired => {
                ("UNAUTHORIZED", "Invalid API key".to_owned())
            }
            GatewayError::Forbidden { .. } => ("FORBIDDEN", "Insufficient permissions for this resource".to_owned()),
            GatewayError::Limited { .. } => ("RATE_LIMITED", message),
            GatewayError::Malformed(_) => ("BAD_REQUEST", message),
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::TelemetryHarbor | Self::ApiKeyModule => "X-API-Key",
            Self::Iapm => "API-Key",
            Self::Bearer | Self::Ensemble => "Authorization",
        }
    }
}

impl GatewayError {
    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Missing | Self::Invalid | Self::Expired => 401,
            Self::Forbidden { .. } => 403,
            Self::Limited { .. } => 429,
            Self::Malformed(_) => 400,
        }
    }
}
