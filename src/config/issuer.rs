//! Owns the issuer: one URL, parsed once, and the values derived from it. Does not validate it; see `check`.

use std::{fmt, ops::Deref};

use serde::Deserialize;
use url::Url;

/// The public URL of this server, byte for byte as in the metadata (RFC 8414 §2).
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub struct Issuer {
    text: String,
    host: String,
    base_path: String,
    origin: String,
}

impl Issuer {
    /// Its host, without a port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its path, such as `/auth`; empty if there is none.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// Its origin, as browsers send it (RFC 6454 §6.2).
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers reach this server over TLS, so that cookies can be `Secure`.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https://")
    }
}

impl From<String> for Issuer {
    /// Text that is not a URL leaves every part empty; `check` refuses it before the parts are used.
    fn from(text: String) -> Self {
        let url = Url::parse(&text).ok();
        let part = |of: fn(&Url) -> Option<String>| url.as_ref().and_then(of).unwrap_or_default();
        Self {
            host: part(|url| url.host_str().map(ToOwned::to_owned)),
            base_path: part(|url| Some(url.path().trim_end_matches('/').to_owned())),
            origin: part(|url| Some(url.origin().ascii_serialization())),
            text,
        }
    }
}

impl Deref for Issuer {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
