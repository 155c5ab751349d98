//! Owns configuration: embedded defaults, then a file, then `GRANTD_*` variables, then flags; resolved once.
//! Does not open what it names.

mod error;
mod layers;
mod sections;
mod value;

use std::{net::SocketAddr, path::Path};

use ipnet::IpNet;
use redis::IntoConnectionInfo;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

pub use self::{
    error::ConfigError,
    sections::{Connections, Gateway, Leaks, Lifetimes, Limits, LogFormat, Mail, SharedFailure},
    value::{DatabaseUrl, is_local_host, ssl_mode},
};
use self::{
    layers::{Layers, Source},
    value::is_protected,
};

/// The embedded defaults, with a comment for every key.
pub const DEFAULTS: &str = include_str!("default.toml");

/// How this server runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    #[serde(deserialize_with = "value::listen")]
    pub listen: SocketAddr,
    /// The URL by which everybody reaches this server, byte for byte as the metadata says it.
    pub issuer: String,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: DatabaseUrl,
    /// 32 bytes in base64, or empty.
    pub master_key: SecretString,
    /// Networks whose forwarded addresses are believed.
    #[serde(deserialize_with = "value::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Other host names by which browsers may reach the pages.
    pub hosts: Vec<String>,
    /// Origins whose scripts may call the token endpoint.
    pub cors_origins: Vec<String>,
    /// How API keys start.
    pub key_prefix: String,
    /// What keys can be for.
    pub environments: Vec<String>,
    /// Bearer token of `/metrics`; empty turns it off.
    pub metrics_token: SecretString,
    /// Filter of the log.
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// What connections may cost.
    pub connections: Connections,
    /// Bounds.
    pub limits: Limits,
    /// Forward-auth.
    pub gateway: Gateway,
    /// Outgoing mail.
    pub mail: Mail,
    /// Reports of leaked keys.
    pub leaks: Leaks,
    /// What a person should know who runs it so, one sentence each; never a secret.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

fn wrong(key: &str, right: &str) -> Result<(), ConfigError> {
    Err(ConfigError::of(key, right))
}

impl Config {
    /// What a key is for when nobody says: the first of the environments.
    #[must_use]
    pub fn default_environment(&self) -> &str {
        self.environments.first().map_or("", String::as_str)
    }

    /// Reads every layer. `overrides` are the command line's, by key.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key and what would be right.
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
            config.issuer = Self::issuer_at(config.listen);
        }
        config.check().map_err(|error| layers.explain(error))?;
        config.warnings = config.warnings(&layers);
        Ok(config)
    }

    /// The URL of a server that listens here, where nobody set another: its address on loopback, else `localhost`.
    #[must_use]
    pub fn issuer_at(listen: SocketAddr) -> String {
        match listen.ip().is_loopback() {
            true => format!("http://{listen}"),
            false => format!("http://localhost:{}", listen.port()),
        }
    }

    /// What is allowed and yet should be known.
    fn warnings(&self, layers: &Layers) -> Vec<String> {
        let mut warnings = layers.warnings.clone();
        if matches!(layers.source("database"), Source::Flag(_)) && self.database.has_password() {
            warnings.push(
                "--database holds a password, which every user of this machine can read in the list of processes: \
                 set GRANTD_DATABASE instead"
                    .to_owned(),
            );
        }
        if self.database.is_in_the_clear() {
            warnings.push(
                "database: its sslmode lets passwords and data travel unencrypted between machines: remove it, or set \
                 sslmode=verify-full"
                    .to_owned(),
            );
        }
        if self.mail.is_in_the_clear() {
            warnings.push(
                "mail.url: mail and its password travel unencrypted between machines: use smtps://, or smtp://…?tls=required"
                    .to_owned(),
            );
        }
        let shared = Url::parse(self.limits.shared.expose_secret());
        if shared.is_ok_and(|url| url.scheme() == "redis" && !url.host_str().is_none_or(is_local_host)) {
            warnings.push("limits.shared: its password travels unencrypted between machines: use rediss://".to_owned());
        }
        if *layers.source("issuer") == Source::Default && !self.listen.ip().is_loopback() {
            warnings.push(format!(
                "issuer is not set, so links and tokens name {}: set it to the URL that people use, such as \
                 https://auth.example.com",
                self.issuer
            ));
        }
        warnings
    }

    fn check(&self) -> Result<(), ConfigError> {
        let issuer = Url::parse(&self.issuer)
            .map_err(|_| ConfigError::of("issuer", "an absolute URL, such as https://auth.example.com"))?;
        if !is_protected(&self.issuer) {
            return wrong("issuer", "https, or http on loopback, such as https://auth.example.com");
        }
        if self.issuer.ends_with('/')
            || issuer.query().is_some()
            || issuer.fragment().is_some()
            || !issuer.username().is_empty()
        {
            return wrong(
                "issuer",
                "no trailing slash, query, fragment or user information, such as https://auth.example.com",
            );
        }
        let database = self.database.expose();
        if self.database.file().is_some_and(|file| file.as_os_str().is_empty())
            || !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| database.starts_with(scheme))
        {
            return wrong(
                "database",
                "sqlite:PATH or postgres://user:password@host/database, such as sqlite:grantd.db",
            );
        }
        // An origin as browsers send it; `*` would open the token endpoint to every script there is.
        let is_origin = |text: &String| Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == *text);
        if !self.cors_origins.iter().all(is_origin) {
            return wrong(
                "cors_origins",
                "origins such as https://app.example.com, without a path or a slash at the end",
            );
        }
        self.check_log()?;
        self.check_names()?;
        if !self.leaks.keys_url.is_empty() && !is_protected(&self.leaks.keys_url) {
            return wrong("leaks.keys_url", "https, or http on loopback");
        }
        let lifetimes = &self.lifetimes;
        for (key, seconds, most) in [
            ("lifetimes.code_seconds", lifetimes.code_seconds, 600),
            ("lifetimes.interaction_seconds", lifetimes.interaction_seconds, 86_400),
            ("lifetimes.session_seconds", lifetimes.session_seconds, 31_536_000),
            ("lifetimes.refresh_idle_seconds", lifetimes.refresh_idle_seconds, 315_360_000),
            ("lifetimes.grant_seconds", lifetimes.grant_seconds, 315_360_000),
            ("lifetimes.signing_key_seconds", lifetimes.signing_key_seconds, 315_360_000),
            ("lifetimes.audit_seconds", lifetimes.audit_seconds, 3_153_600_000),
        ] {
            // A signing key needs time to be announced before it signs; a log of seconds is none.
            let least = if key.ends_with("signing_key_seconds") || key.ends_with("audit_seconds") { 86_400 } else { 1 };
            if seconds < least || seconds > most {
                return wrong(key, &format!("{least} to {most} seconds"));
            }
        }
        if !(10..=300_000).contains(&self.limits.shared_milliseconds) {
            return wrong("limits.shared_milliseconds", "10 to 300000");
        }
        if !(1024..=1 << 20).contains(&self.limits.body_bytes) {
            return wrong("limits.body_bytes", "1024 to 1048576");
        }
        if !(16..=10_000_000).contains(&self.limits.cache_entries) {
            return wrong("limits.cache_entries", "16 to 10000000");
        }
        self.check_connections()?;
        if !(1..=300).contains(&self.limits.request_seconds) {
            return wrong("limits.request_seconds", "1 to 300");
        }
        self.check_rates()?;
        let shared = self.limits.shared.expose_secret();
        if !shared.is_empty() && shared.into_connection_info().is_err() {
            return wrong("limits.shared", "a URL such as redis://127.0.0.1:6379/0, or empty");
        }
        Ok(())
    }

    /// Of nothing a minute, nothing would ever pass.
    fn check_rates(&self) -> Result<(), ConfigError> {
        for (key, most) in [
            ("limits.token_requests_per_client", self.limits.token_requests_per_client),
            ("limits.writes_per_user", self.limits.writes_per_user),
            ("limits.writes_per_key", self.limits.writes_per_key),
        ] {
            if most == 0 {
                return wrong(key, "1 or more");
            }
        }
        Ok(())
    }

    fn check_connections(&self) -> Result<(), ConfigError> {
        let connections = &self.connections;
        if connections.per_network == 0 {
            return wrong("connections.per_network", "1 or more");
        }
        for (key, seconds) in [
            ("connections.first_head_seconds", connections.first_head_seconds),
            ("connections.idle_seconds", connections.idle_seconds),
            ("connections.write_seconds", connections.write_seconds),
            ("connections.stop_seconds", connections.stop_seconds),
        ] {
            if !(1..=3600).contains(&seconds) {
                return wrong(key, "1 to 3600 seconds");
            }
        }
        Ok(())
    }

    /// A word that is no level would be taken for the name of a module and turn everything else off.
    fn check_log(&self) -> Result<(), ConfigError> {
        let is_level = |word: &str| {
            ["off", "error", "warn", "info", "debug", "trace"].contains(&word.trim().to_ascii_lowercase().as_str())
        };
        let is_right = |part: &str| is_level(part.rsplit('=').next().unwrap_or_default());
        if self.log.trim().is_empty() || !self.log.split(',').all(is_right) {
            return wrong("log", "a level such as info, or one for each module, such as info,grantd::store=debug");
        }
        Ok(())
    }

    /// What becomes part of keys and of headers.
    fn check_names(&self) -> Result<(), ConfigError> {
        let prefix = self.key_prefix.as_str();
        if prefix.is_empty()
            || prefix.len() > 20
            || !prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        {
            return wrong("key_prefix", "1 to 20 lower-case letters and digits");
        }
        let word = |text: &String| {
            (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if !(1..=20).contains(&self.environments.len()) || !self.environments.iter().all(word) {
            return wrong("environments", "1 to 20 names, each of 1 to 20 lower-case letters and digits");
        }
        let header = |name: &str| {
            let name = name.to_ascii_lowercase();
            name.starts_with("x-") && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if let Some((key, _)) = self.gateway.names().into_iter().find(|(_, name)| !header(name)) {
            return wrong(&format!("gateway.{key}"), "a header's name begins with X-, of letters, digits and dashes");
        }
        let mut names: Vec<String> = self.gateway.names().map(|(_, name)| name.to_ascii_lowercase()).into();
        names.sort_unstable();
        names.dedup();
        if names.len() < self.gateway.names().len() {
            return wrong("gateway", "each header has a name of its own");
        }
        Ok(())
    }

    /// Whether the database is the embedded one.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.database.file().is_some()
    }

    /// Whether browsers reach this server by TLS, so that cookies may be `Secure`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.issuer.starts_with("https://")
    }

    /// What is wrong where a proxy must stand in front of this server and none is trusted, and what to do.
    #[must_use]
    pub fn missing_proxy(&self) -> Option<&'static str> {
        (self.is_https() && self.trusted_proxies.is_empty()).then_some(
            "the issuer is https and this server speaks plain HTTP, so a proxy stands in front of it: add its address to \
             trusted_proxies, or who calls is not known",
        )
    }

    /// Whether `host`, without its port, is a name of ours.
    #[must_use]
    pub fn is_our_host(&self, host: &str) -> bool {
        let issuer = Url::parse(&self.issuer).ok();
        let names = issuer.as_ref().and_then(Url::host_str).into_iter().chain(self.hosts.iter().map(String::as_str));
        names.into_iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// Path of the issuer, such as `/auth`; empty where it is only a host.
    #[must_use]
    pub fn base_path(&self) -> String {
        Url::parse(&self.issuer).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
    }
}

/// Which setting cannot be read, and why.
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
    fn later_layers_beat_earlier_ones() {
        let config = load(
            &[
                ("GRANTD_LIFETIMES__CODE_SECONDS", "30"),
                ("GRANTD_ISSUER", "https://a.example"),
                ("GRANTD_TRUSTED_PROXIES", "10.0.0.0/8,::1/128"),
            ],
            &[("issuer", "https://b.example")],
        )
        .expect("config");
        assert_eq!((config.lifetimes.code_seconds, config.issuer.as_str()), (30, "https://b.example"));
        assert_eq!(config.trusted_proxies.len(), 2);
    }

    #[test]
    fn a_bad_value_names_its_key_and_what_is_right() {
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
