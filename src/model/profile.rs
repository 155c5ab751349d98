//! Owns an API's conventions: the headers that carry a credential, and the form of its refusals. One preset per
//! provider whose documentation we follow exactly.

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

/// A header that may carry a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer,
    /// Another header, in lower case.
    Header(&'static str),
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

    /// The preset with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == text)
    }

    /// The headers that may carry a credential, the API's own first. All presets accept Bearer: OAuth apps send it.
    #[must_use]
    pub fn carriers(self) -> &'static [Carrier] {
        match self {
            Self::TelemetryHarbor | Self::ApiKeyModule => &[Carrier::Header("x-api-key"), Carrier::Bearer],
            Self::Iapm => &[Carrier::Header("api-key"), Carrier::Bearer],
            Self::Bearer | Self::Ensemble => &[Carrier::Bearer],
        }
    }
}
