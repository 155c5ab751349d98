//! Owns the sections of the configuration.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::{is_local_host, value};

/// Outgoing mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `smtp://` or `smtps://` URL, optionally with a password; empty for none.
    pub url: SecretString,
    /// The sender's address.
    pub from: String,
}

impl Mail {
    /// Whether mail and its password may travel unencrypted between machines.
    pub fn is_in_the_clear(&self) -> bool {
        let Ok(url) = Url::parse(self.url.expose_secret()) else { return false };
        let wants_tls = url.query_pairs().any(|(name, value)| name == "tls" && value == "required");
        url.scheme() == "smtp" && !wants_tls && !url.host_str().is_none_or(is_local_host)
    }
}

/// Reports of leaked keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaks {
    /// URL of the reporter's public keys; empty for none.
    pub keys_url: String,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Lifetimes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetimes {
    /// An authorization code.
    #[serde(rename = "code_seconds", deserialize_with = "value::seconds")]
    pub code: Duration,
    /// An open sign-in page.
    #[serde(rename = "interaction_seconds", deserialize_with = "value::seconds")]
    pub interaction: Duration,
    /// A browser session.
    #[serde(rename = "session_seconds", deserialize_with = "value::seconds")]
    pub session: Duration,
    /// An unused refresh token.
    #[serde(rename = "refresh_idle_seconds", deserialize_with = "value::seconds")]
    pub refresh_idle: Duration,
    /// A grant, however often it is refreshed.
    #[serde(rename = "grant_seconds", deserialize_with = "value::seconds")]
    pub grant: Duration,
    /// A signing key, until the next one replaces it.
    #[serde(rename = "signing_key_seconds", deserialize_with = "value::seconds")]
    pub signing_key: Duration,
    /// An audit entry.
    #[serde(rename = "audit_seconds", deserialize_with = "value::seconds")]
    pub audit: Duration,
}

/// Limits on connections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// Maximum from one network: an IPv4 address or an IPv6 /64; eight times as many from an IPv6 /48. Does not apply
    /// to trusted proxies.
    pub per_network: usize,
    /// Maximum in total; 0 for as many as file descriptors allow.
    pub total: usize,
    /// Longest time from the start of a connection to the end of its first request head.
    #[serde(rename = "first_head_seconds", deserialize_with = "value::seconds")]
    pub first_head: Duration,
    /// Longest time between two requests on a connection, including the head of the next one.
    #[serde(rename = "idle_seconds", deserialize_with = "value::seconds")]
    pub idle: Duration,
    /// Longest time without progress in writing a response.
    #[serde(rename = "write_seconds", deserialize_with = "value::seconds")]
    pub write: Duration,
    /// Longest time for requests in progress when the server stops.
    #[serde(rename = "stop_seconds", deserialize_with = "value::seconds")]
    pub stop: Duration,
}

/// Limits on requests and resources.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Memory for cached credentials, in MiB.
    pub credential_cache_mebibytes: u32,
    /// Memory for cached pages of the embedded database across all its connections, in MiB.
    pub page_cache_mebibytes: u32,
    /// Failed sign-ins for one account within 15 minutes.
    pub login_failures_per_account: u32,
    /// Failed sign-ins from one address within 15 minutes.
    pub login_failures_per_address: u32,
    /// Authorization requests that await their user, started from one address within 15 minutes.
    pub interactions_per_address: u32,
    /// Authorization codes of one user that no client redeemed, within 15 minutes.
    pub unredeemed_codes_per_user: u32,
    /// Live grants of one user and client; the oldest beyond these are revoked.
    pub grants_per_user_and_client: u32,
    /// Unknown credentials from one address within a minute.
    pub unknown_credentials_per_address: u32,
    /// Requests by one client to the token endpoint within a minute; for a public client, from one address.
    pub token_requests_per_client: u32,
    /// Requests by one user that change something, on pages or through the management API, within a minute.
    pub writes_per_user: u32,
    /// The same for one API key.
    pub writes_per_key: u32,
    /// Name of the plan that limits a client acting on its own; empty for none.
    pub client_plan: String,
    /// Time for a whole request.
    #[serde(rename = "request_seconds", deserialize_with = "value::seconds")]
    pub request: Duration,
    /// Time for one read or write of the database.
    #[serde(rename = "database_seconds", deserialize_with = "value::seconds")]
    pub database: Duration,
    /// URL of the Redis or Valkey in which all nodes count; empty if each node counts separately.
    pub shared: SecretString,
    /// Behavior while the shared limits are unavailable.
    pub shared_failure: SharedFailure,
    /// Longest wait for one decision of the shared limits.
    #[serde(rename = "shared_milliseconds", deserialize_with = "value::milliseconds")]
    pub shared_wait: Duration,
}

impl Limits {
    /// Memory for cached credentials, in bytes.
    pub fn credential_cache(&self) -> u64 {
        u64::from(self.credential_cache_mebibytes) << 20
    }
}

/// Behavior while the shared limits are unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SharedFailure {
    /// Each node counts separately.
    Local,
    /// Nothing is counted, and the request is refused with advice to retry.
    Refuse,
    /// Nothing is counted, and the request is allowed.
    Allow,
}

/// Names of the headers that identify the caller to an upstream.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// A user, or a client acting on its own.
    pub subject_header: String,
    /// The user's name.
    pub user_header: String,
    /// The client that holds the token.
    pub client_header: String,
    /// The key's ID.
    pub key_header: String,
    /// The key's project.
    pub project_header: String,
    /// The key's environment.
    pub environment_header: String,
    /// The plan.
    pub plan_header: String,
    /// The scopes, space-delimited.
    pub scopes_header: String,
    /// `access_token` or `api_key`.
    pub credential_header: String,
}

impl Gateway {
    /// Every header name with its configuration key.
    pub fn names(&self) -> [(&'static str, &str); 9] {
        [
            ("subject_header", &self.subject_header),
            ("user_header", &self.user_header),
            ("client_header", &self.client_header),
            ("key_header", &self.key_header),
            ("project_header", &self.project_header),
            ("environment_header", &self.environment_header),
            ("plan_header", &self.plan_header),
            ("scopes_header", &self.scopes_header),
            ("credential_header", &self.credential_header),
        ]
    }
}
