//! Owns the validation of settings: those that are refused, and those that are allowed with a warning.

use lettre::{AsyncSmtpTransport, Tokio1Executor, message::Mailbox};
use redis::IntoConnectionInfo;
use secrecy::ExposeSecret;
use url::Url;

use super::{
    Config,
    error::ConfigError,
    layers::{Layers, Source},
    value::{is_local_host, is_protected},
};

fn wrong(key: &str, right: &str) -> Result<(), ConfigError> {
    Err(ConfigError::of(key, right))
}

impl Config {
    /// Refuses invalid settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key and what would be valid, but not yet where the value was set.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let issuer = Url::parse(&self.issuer)
            .map_err(|_| ConfigError::of("issuer", "an absolute URL, such as https://auth.example.com"))?;
        if !is_protected(&self.issuer) {
            return wrong("issuer", "an https URL, or http on loopback, such as https://auth.example.com");
        }
        if self.issuer.ends_with('/')
            || issuer.query().is_some()
            || issuer.fragment().is_some()
            || !issuer.username().is_empty()
        {
            return wrong(
                "issuer",
                "a URL without trailing slash, query, fragment or user information, such as https://auth.example.com",
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
        // An origin as browsers send it; `*` would open the token endpoint to scripts of every site.
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
            return wrong("leaks.keys_url", "an https URL, or http on loopback");
        }
        self.check_mail()?;
        self.check_lifetimes()?;
        self.check_limits()?;
        self.check_connections()
    }

    fn check_mail(&self) -> Result<(), ConfigError> {
        let url = self.mail.url.expose_secret();
        if url.is_empty() {
            return Ok(());
        }
        if AsyncSmtpTransport::<Tokio1Executor>::from_url(url).is_err() {
            return wrong("mail.url", "an SMTP URL, such as smtps://user:password@mail.example.com");
        }
        if self.mail.from.parse::<Mailbox>().is_err() {
            return wrong("mail.from", "the sender's address, such as Example <keys@example.com>");
        }
        Ok(())
    }

    fn check_lifetimes(&self) -> Result<(), ConfigError> {
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
            // A signing key must be announced before it signs, and an audit log of a few seconds would be useless.
            let least = if key.ends_with("signing_key_seconds") || key.ends_with("audit_seconds") { 86_400 } else { 1 };
            if seconds < least || seconds > most {
                return wrong(key, &format!("{least} to {most} seconds"));
            }
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        if !(10..=300_000).contains(&self.limits.shared_milliseconds) {
            return wrong("limits.shared_milliseconds", "10 to 300000");
        }
        if !(1024..=1 << 20).contains(&self.limits.body_bytes) {
            return wrong("limits.body_bytes", "1024 to 1048576");
        }
        for (key, mebibytes) in [
            ("limits.credential_cache_mebibytes", self.limits.credential_cache_mebibytes),
            ("limits.page_cache_mebibytes", self.limits.page_cache_mebibytes),
        ] {
            if !(1..=65_536).contains(&mebibytes) {
                return wrong(key, "1 to 65536");
            }
        }
        for (key, seconds) in [
            ("limits.request_seconds", self.limits.request_seconds),
            ("limits.database_seconds", self.limits.database_seconds),
        ] {
            if !(1..=300).contains(&seconds) {
                return wrong(key, "1 to 300");
            }
        }
        for (key, most) in [
            ("limits.token_requests_per_client", self.limits.token_requests_per_client),
            ("limits.writes_per_user", self.limits.writes_per_user),
            ("limits.writes_per_key", self.limits.writes_per_key),
        ] {
            if most == 0 {
                return wrong(key, "1 or more");
            }
        }
        let shared = self.limits.shared.expose_secret();
        if !shared.is_empty() && shared.into_connection_info().is_err() {
            return wrong("limits.shared", "a URL such as redis://127.0.0.1:6379/0, or empty");
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

    /// Checks the log filter. A word that is not a level would be read as a module name and turn off all other logging.
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

    /// Checks names that become part of keys and headers.
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
            return wrong(
                &format!("gateway.{key}"),
                "a header name that begins with X-, followed by letters, digits and dashes",
            );
        }
        let names = self.gateway.names();
        let is_taken = |at: usize| names[..at].iter().any(|(_, name)| name.eq_ignore_ascii_case(names[at].1));
        if let Some(at) = (0..names.len()).find(|at| is_taken(*at)) {
            return wrong(&format!("gateway.{}", names[at].0), "a header name that no other setting uses");
        }
        Ok(())
    }

    /// Warnings about settings that are allowed but risky.
    pub(super) fn warnings(&self, layers: &Layers) -> Vec<String> {
        let mut warnings = layers.warnings.clone();
        if matches!(layers.source("database"), Source::Flag(_)) && self.database.has_password() {
            warnings.push(
                "--database contains a password, which every user of this machine can see in the list of processes: \
                 set GRANTD_DATABASE instead"
                    .to_owned(),
            );
        }
        if self.database.is_in_the_clear() {
            warnings.push(
                "database: its sslmode allows unencrypted passwords and data on the network; remove it, or set \
                 sslmode=verify-full"
                    .to_owned(),
            );
        }
        if self.mail.is_in_the_clear() {
            warnings.push(
                "mail.url: mail and password are sent unencrypted; use smtps://, or smtp://…?tls=required".to_owned(),
            );
        }
        let shared = Url::parse(self.limits.shared.expose_secret());
        if shared.is_ok_and(|url| url.scheme() == "redis" && !url.host_str().is_none_or(is_local_host)) {
            warnings.push("limits.shared: the password is sent unencrypted; use rediss://".to_owned());
        }
        if *layers.source("issuer") == Source::Default && !self.listen.ip().is_loopback() {
            warnings.push(format!(
                "issuer is not set, so links and tokens use {}; set it to the public URL, such as \
                 https://auth.example.com",
                self.issuer
            ));
        }
        warnings
    }
}
