//! Owns the sections of the configuration.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::is_local_host;

/// Outgoing mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `smtp://` or `smtps://`, perhaps with a password; empty for none.
    pub url: SecretString,
    /// Who mails are from.
    pub from: String,
}

impl Mail {
    /// Whether mail and its password may travel unencrypted between machines.
    #[must_use]
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
    /// Where the reporter's public keys are; empty for none.
    pub keys_url: String,
}

/// Shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// How long things live, in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetimes {
    /// An authorization code.
    pub code_seconds: i64,
    /// A sign-in page that is open.
    pub interaction_seconds: i64,
    /// A browser's session.
    pub session_seconds: i64,
    /// A refresh token that is not used.
    pub refresh_idle_seconds: i64,
    /// A grant, however often it is refreshed.
    pub grant_seconds: i64,
    /// A signing key, until the next one takes over.
    pub signing_key_seconds: i64,
    /// An audit entry.
    pub audit_seconds: i64,
}

/// What connections may cost.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// Most from one network: an IPv4 address or an IPv6 /64; from an IPv6 /48 eight times as many.
    /// Trusted proxies have no such bound.
    pub per_network: usize,
    /// Most in all; 0 for as many as descriptors allow.
    pub total: usize,
    /// From a connection's begin to the end of its first request's head, in seconds.
    pub first_head_seconds: u64,
    /// Between two requests on a connection, with the next one's head, in seconds.
    pub idle_seconds: u64,
    /// Without progress in writing an answer, in seconds.
    pub write_seconds: u64,
    /// For requests under way when the server stops, in seconds.
    pub stop_seconds: u64,
}

/// Bounds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Memory for checked credentials, in MiB.
    pub credential_cache_mebibytes: u32,
    /// Memory for pages of the embedded database over all its connections, in MiB.
    pub page_cache_mebibytes: u32,
    /// Failed sign-ins for one account within 15 minutes.
    pub login_failures_per_account: u32,
    /// Failed sign-ins from one address within 15 minutes.
    pub login_failures_per_address: u32,
    /// Authorization requests that wait for their user, begun from one address within 15 minutes.
    pub interactions_per_address: u32,
    /// Codes that one user asked for and no client redeemed, within 15 minutes.
    pub unredeemed_codes_per_user: u32,
    /// Unknown credentials from one address within a minute.
    pub unknown_credentials_per_address: u32,
    /// Requests of one client to the token endpoint within a minute; of a public client, from one address.
    pub token_requests_per_client: u32,
    /// Requests of one user that change something, by page or management API, within a minute.
    pub writes_per_user: u32,
    /// The same by one API key.
    pub writes_per_key: u32,
    /// Name of the plan by which a client on its own is measured; empty for none.
    pub client_plan: String,
    /// A whole request, in seconds.
    pub request_seconds: u64,
    /// A read or write of the database, in seconds.
    pub database_seconds: u64,
    /// URL of the Redis or Valkey in which all nodes count; empty where each counts for itself.
    pub shared: SecretString,
    /// What counts while that is gone.
    pub shared_failure: SharedFailure,
    /// Longest wait for its answer to one decision, in milliseconds.
    pub shared_milliseconds: u64,
}

impl Limits {
    /// Memory for checked credentials, in bytes.
    #[must_use]
    pub fn credential_cache(&self) -> u64 {
        u64::from(self.credential_cache_mebibytes) << 20
    }
}

/// What counts while the shared limits cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SharedFailure {
    /// Each node for itself.
    Local,
    /// Nothing: the request is told to try again.
    Refuse,
    /// Nothing: the request passes.
    Allow,
}

/// Names of the headers that tell an upstream who is calling.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// A user, or a client on its own.
    pub subject_header: String,
    /// The user's name.
    pub user_header: String,
    /// The client that holds the token.
    pub client_header: String,
    /// The key's id.
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
    /// Every name with the key it is configured by.
    #[must_use]
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
