//! Owns configuration: embedded defaults, then a file, then `GRANTD_*` variables, then flags; resolved once. Includes
//! sections, their types, checks and warnings. Does not open what a setting names, or read a setting again.

mod check;
mod error;
mod issuer;
mod layers;
mod sections;
mod value;

use std::{iter, net::SocketAddr, path::Path};

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

use self::layers::{Layers, Source};
pub use self::{
    error::ConfigError,
    issuer::Issuer,
    sections::{Connections, Gateway, Leaks, Lifetimes, Limits, LogFormat, Mail, SharedFailure},
    value::{DatabaseUrl, is_local_host, ssl_mode},
};

/// The embedded defaults, with a comment for every key.
pub const DEFAULTS: &str = include_str!("default.toml");

/// The configuration of this server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address to listen on.
    #[serde(deserialize_with = "value::listen")]
    pub listen: SocketAddr,
    /// The public URL of this server, byte for byte as in the metadata.
    pub issuer: Issuer,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: DatabaseUrl,
    /// 32 bytes in base64, or empty.
    pub master_key: SecretString,
    /// Networks whose forwarded addresses are trusted.
    #[serde(deserialize_with = "value::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Other host names under which browsers may open the pages.
    pub hosts: Vec<String>,
    /// Origins whose scripts may call the token endpoint.
    pub cors_origins: Vec<String>,
    /// The first part of every prefixed API key.
    pub key_prefix: String,
    /// The environments that keys can be for.
    pub environments: Vec<String>,
    /// Bearer token for `/metrics`; empty disables it.
    pub metrics_token: SecretString,
    /// The log filter.
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// Lifetimes of credentials and stored records.
    pub lifetimes: Lifetimes,
    /// Limits on connections.
    pub connections: Connections,
    /// Limits on requests and resources.
    pub limits: Limits,
    /// Header names for forward-auth.
    pub gateway: Gateway,
    /// Outgoing mail.
    pub mail: Mail,
    /// Reports of leaked keys.
    pub leaks: Leaks,
    /// Warnings for the operator, one sentence each; never a secret.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl Config {
    /// The environment of a key if none is given: the first one configured.
    #[must_use]
    pub fn default_environment(&self) -> &str {
        self.environments.first().map_or("", String::as_str)
    }

    /// Reads every layer. `overrides` are command-line flags, by key.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key and what would be valid.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        overrides: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::defaults()?;
        layers.read_file(file)?;
        layers.read_variables(variables)?;
        for (key, value) in overrides {
            layers.set_flag(key, value)?;
        }
        let mut config: Self = serde_json::from_value(layers.tree()).map_err(|error| blame(&layers, &error))?;
        if *layers.source("issuer") == Source::Default && *layers.source("listen") != Source::Default {
            config.issuer = Self::issuer_at(config.listen).into();
        }
        config.check().map_err(|error| layers.explain(error))?;
        config.warnings = config.warnings(&layers);
        Ok(config)
    }

    /// The default issuer for a listen address: the address itself if it is loopback, else `localhost`.
    #[must_use]
    pub fn issuer_at(listen: SocketAddr) -> String {
        match listen.ip().is_loopback() {
            true => format!("http://{listen}"),
            false => format!("http://localhost:{}", listen.port()),
        }
    }

    /// Whether the database is the embedded one.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.database.file().is_some()
    }

    /// The problem and its remedy, if a proxy is required but none is trusted.
    #[must_use]
    pub fn missing_proxy(&self) -> Option<&'static str> {
        (self.issuer.is_https() && self.trusted_proxies.is_empty()).then_some(
            "the issuer is https, so there must be a TLS proxy in front of this server: add its address to \
             trusted_proxies; otherwise the senders of requests are unknown",
        )
    }

    /// Whether `host`, without its port, is one of this server's names.
    #[must_use]
    pub fn is_our_host(&self, host: &str) -> bool {
        let mut names = iter::once(self.issuer.host()).chain(self.hosts.iter().map(String::as_str));
        names.any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// The setting that cannot be read, and the reason.
fn blame(layers: &Layers, whole: &serde_json::Error) -> ConfigError {
    let unreadable = |(key, tree): (&String, serde_json::Value)| {
        let error = serde_json::from_value::<Config>(tree).err()?.to_string();
        let right = error.split_once("expected ").map_or(error.as_str(), |(_, right)| right).replace('`', "");
        let right = if ["u16", "u32", "u64", "usize"].contains(&right.as_str()) {
            "a whole number, not below 0"
        } else {
            &right
        };
        Some(layers.explain(ConfigError::of(key, right)))
    };
    layers.one_by_one().find_map(unreadable).unwrap_or_else(|| ConfigError::of("", whole.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let overrides: Vec<(&str, String)> = overrides.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        Config::load(None, variables, &overrides)
    }

    #[test]
    fn later_layers_override_earlier_ones() {
        let config = load(
            &[
                ("GRANTD_LIFETIMES__CODE_SECONDS", "30"),
                ("GRANTD_ISSUER", "https://a.example"),
                ("GRANTD_TRUSTED_PROXIES", "10.0.0.0/8,::1/128"),
            ],
            &[("issuer", "https://b.example")],
        )
        .expect("config");
        assert_eq!((config.lifetimes.code_seconds, &*config.issuer), (30, "https://b.example"));
        assert_eq!(config.trusted_proxies.len(), 2);
    }

    #[test]
    fn invalid_values_are_reported_with_setting_and_remedy() {
        for (variable, value, key) in [
            ("GRANTD_ISSUER", "http://auth.example.com", "issuer"),
            ("GRANTD_ISSUER", "https://auth.example.com/", "issuer"),
            ("GRANTD_DATABASE_URL", "mysql://x", "database"),
            ("GRANTD_LISTEN", "nowhere", "listen"),
            ("GRANTD_LIFETIMES__CODE_SECONDS", "0", "code_seconds"),
            ("GRANTD_LIFETIMES__CODE_SECONDS", "soon", "code_seconds"),
            ("GRANTD_TRUSTED_PROXIES", "10.0.0.0/99", "trusted_proxies"),
            ("GRANTD_KEY_PREFIX", "A b", "key_prefix"),
            ("GRANTD_LIMITS__SHARED", "memcached://127.0.0.1", "limits.shared"),
            ("GRANTD_LIMITS__SHARED", "redis://127.0.0.1:6379/first", "limits.shared"),
            ("GRANTD_LIMITS__SHARED_FAILURE", "panic", "shared_failure"),
            ("GRANTD_LISTEN", "example.com:8080", "listen: an address and a port, such as 127.0.0.1:8080"),
            ("GRANTD_LOG", "loud", "log: a level such as info"),
            (
                "GRANTD_LOG_FORMAT",
                "xml",
                "log_format: text or json, such as \"text\" (found \"xml\" in GRANTD_LOG_FORMAT)",
            ),
            (
                "GRANTD_LIMITS__BODY_BYTES",
                "-1",
                "limits.body_bytes: a whole number, not below 0, such as 65536 (found -1",
            ),
        ] {
            let error = load(&[(variable, value)], &[]).expect_err(variable).to_string();
            assert!(error.contains(key), "{variable}={value}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        // THREATS: SR4
        let config =
            load(&[("GRANTD_MASTER_KEY", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=")], &[]).expect("config");
        assert!(!format!("{config:?}").contains("c2VjcmV0"));
        let config = load(&[("GRANTD_LIMITS__SHARED", "redis://:hunter2@127.0.0.1/0")], &[]).expect("config");
        assert!(!format!("{config:?}").contains("hunter2"));
        let error = load(&[("GRANTD_LIMITS__SHARED", "redis://:hunter2@127.0.0.1/x")], &[]).expect_err("no number");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
