//! Owns parsing single settings from text, and recognizing hosts that are this machine.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

/// `sqlite:PATH` or `postgres://…`. The latter may hold a password, so it is not printed.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// The whole URL, for opening the database.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The file of an embedded database.
    pub fn file(&self) -> Option<&Path> {
        self.expose().strip_prefix("sqlite:").map(Path::new)
    }

    /// Whether the URL holds a password.
    pub fn has_password(&self) -> bool {
        Url::parse(self.expose())
            .is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password"))
    }

    /// Whether the URL allows unencrypted traffic to PostgreSQL on another machine.
    pub fn is_in_the_clear(&self) -> bool {
        let Ok(url) = Url::parse(self.expose()) else { return false };
        if self.file().is_some() || postgres_is_local(&url) {
            return false;
        }
        ssl_mode(&url).is_some_and(|mode| ["disable", "allow", "prefer"].contains(&mode.as_str()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file() {
            Some(file) => write!(f, "sqlite:{}", file.display()),
            None => f.write_str("DatabaseUrl(REDACTED)"),
        }
    }
}

/// The TLS mode of a PostgreSQL URL, in lower case.
pub fn ssl_mode(url: &Url) -> Option<String> {
    url.query_pairs().find(|(name, _)| name == "sslmode" || name == "ssl-mode").map(|(_, mode)| mode.to_lowercase())
}

/// Whether a PostgreSQL URL names this machine, by address or by socket directory.
fn postgres_is_local(url: &Url) -> bool {
    let query = url.query_pairs().filter(|(name, _)| name == "host" || name == "hostaddr").last();
    query.map_or_else(|| is_local_host(url.host_str().unwrap_or_default()), |(_, host)| is_local_host(&host))
}

/// Whether a host is this machine: a loopback address, a name that always means one (RFC 6761 §6.3), or a socket
/// directory, percent-encoded or not.
pub fn is_local_host(host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if let Ok(address) = name.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    name.is_empty() || name.starts_with('/') || name.starts_with("%2f") || is_localhost(&name)
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether traffic to this URL is protected: by TLS, or by never leaving the machine.
pub fn is_protected(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let loopback = url.host_str().is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host));
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

/// The listen address: an address and port, `localhost:8080`, or `:8080` for every IPv4 address of the machine.
pub(super) fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    let named = || {
        let (host, port) = text.rsplit_once(':')?;
        let address = match host {
            "" => Ipv4Addr::UNSPECIFIED,
            host if is_localhost(&host.to_ascii_lowercase()) => Ipv4Addr::LOCALHOST,
            _ => return None,
        };
        Some(SocketAddr::from((address, port.parse().ok()?)))
    };
    text.parse().ok().or_else(named).ok_or_else(|| {
        D::Error::custom("expected an address and a port, such as 127.0.0.1:8080, localhost:8080 or [::1]:8080")
    })
}

/// A number of seconds.
pub(super) fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_secs)
}

/// A number of milliseconds.
pub(super) fn milliseconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

/// Networks or single addresses.
pub(super) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let read = |text: &String| {
        text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
            D::Error::custom("expected addresses or networks, such as 10.0.0.7 or 10.0.0.0/8, with commas between")
        })
    };
    Vec::<String>::deserialize(from)?.iter().map(read).collect()
}
