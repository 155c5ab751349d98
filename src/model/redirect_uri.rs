//! Owns redirect URIs: registration and matching. Compares bytes; nothing is normalised (RFC 9700 §4.1.3).

use serde::{Deserialize, Serialize};
use url::Url;

use super::error::Error;

/// Longest redirect URI, in bytes.
pub const REDIRECT_URI_MAX: usize = 2048;
const LOOPBACK: [&str; 3] = ["http://127.0.0.1", "http://[::1]", "http://localhost"];

/// A redirect URI that passed registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Checks a URI for registration: `https`, `http` on loopback (RFC 8252 §7.3), or a private-use scheme with a dot
    /// (RFC 8252 §7.1); absolute, without fragment, user information, wildcard or dot segments.
    ///
    /// # Errors
    /// `invalid_request` with the reason in words.
    pub fn register(text: &str) -> Result<Self, Error> {
        let refuse = |why: &'static str| Err(Error::invalid_request(why));
        if text.len() > REDIRECT_URI_MAX {
            return refuse("a redirect URI must have at most 2048 bytes");
        }
        let plain = |b: u8| {
            matches!(b, 0x21..=0x7E)
                && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'*' | b'`' | b'{' | b'}' | b'|' | b'^')
        };
        if text.is_empty() || !text.bytes().all(plain) {
            return refuse("a redirect URI must be ASCII without spaces, wildcards, quotes or backslashes");
        }
        let Ok(url) = Url::parse(text) else {
            return refuse("a redirect URI must be absolute, such as https://app.example.com/callback");
        };
        if text.contains('#') {
            return refuse("a redirect URI must not have a fragment");
        }
        let authority = text.split(['/', '?']).nth(2).unwrap_or_default();
        if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
            return refuse("a redirect URI must not have user information");
        }
        let path = text.split('?').next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
        if path.split('/').any(|segment| segment == "." || segment == "..") {
            return refuse("a redirect URI must not have dot segments");
        }
        match url.scheme() {
            // Browsers skip extra slashes and use the first path segment as the host, not the host that is displayed.
            "https" if text.starts_with("https://") && !authority.is_empty() => {}
            "http" if split_loopback(text).is_some() => {}
            "http" => return refuse("http is only allowed for loopback; use https"),
            scheme if scheme.contains('.') && text.starts_with(scheme) => {}
            _ => {
                return refuse(
                    "use https, http on loopback, or a private-use scheme with a dot such as com.example.app:/callback",
                );
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether `presented` is this URI: byte for byte, or with any port if this one is `http` on loopback.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        if self.0 == presented {
            return true;
        }
        match (split_loopback(&self.0), split_loopback(presented)) {
            (Some(registered), Some(presented)) => registered == presented,
            _ => false,
        }
    }

    /// The URI as registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether any program on the user's own machine could receive this redirect: loopback or a private-use scheme.
/// Such a client cannot prove its identity (RFC 8252 §8.6).
#[must_use]
pub fn is_local(uri: &str) -> bool {
    !uri.starts_with("https://")
}

/// The host to show on the consent page; the scheme for private-use schemes.
#[must_use]
pub fn display_host(uri: &str) -> String {
    match Url::parse(uri) {
        // The host part of a private-use scheme is chosen by the registrant and means nothing.
        Ok(url) if matches!(url.scheme(), "https" | "http") => url.host_str().unwrap_or_default().to_owned(),
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => String::new(),
    }
}

/// Splits `http://LOOPBACK[:PORT]REST` into the loopback host and the rest, or nothing.
fn split_loopback(uri: &str) -> Option<(&'static str, &str)> {
    LOOPBACK.iter().find_map(|prefix| {
        let rest = uri.strip_prefix(prefix)?;
        let rest = match rest.strip_prefix(':') {
            Some(port) => {
                let digits = port.bytes().take_while(u8::is_ascii_digit).count();
                port[..digits].parse::<u16>().ok()?;
                &port[digits..]
            }
            None => rest,
        };
        (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((*prefix, rest))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registered(text: &str) -> RedirectUri {
        RedirectUri::register(text).expect("registers")
    }

    #[test]
    fn redirect_uris_match_byte_for_byte() {
        // THREATS: RU1
        let uri = registered("https://a.example/cb");
        for other in [
            "https://a.example/cb/",
            "https://a.example/cb/..",
            "https://a.example/CB",
            "https://a.example/cb?x=1",
            "https://a.example/cb;p=1",
            "https://a.example/cb#",
            "https://a.example/cb#x",
            "https://a.example:8443/cb",
            "http://a.example/cb",
            "https://a.example.evil.tld/cb",
            "https://a.example@evil.tld/cb",
            "https://evil@a.example/cb",
            "https://a.example\\cb",
            "https://a.example/cb\t",
            " https://a.example/cb",
            "https://a.example/cb\0",
            "https://a.example/cb\r\n",
            "https://a.example/%2e%2e/cb",
            "https://a.example/%252e/cb",
            "https://a\u{3002}example/cb",
            "https://\u{430}.example/cb",
            "HTTPS://a.example/cb",
            "https://a.example/%63b",
        ] {
            assert!(!uri.matches(other), "{other}");
        }
        assert!(uri.matches("https://a.example/cb"));
    }

    #[test]
    fn loopback_redirects_match_any_port_only() {
        // THREATS: RU2
        for (uri, host) in [
            ("http://127.0.0.1:0/cb", "http://127.0.0.1"),
            ("http://[::1]/cb", "http://[::1]"),
            ("http://localhost/cb", "http://localhost"),
        ] {
            let uri = registered(uri);
            assert!(uri.matches(&format!("{host}:49152/cb")));
            assert!(uri.matches(&format!("{host}/cb")));
            for other in [
                ":49152/cb2",
                ":49152/cb?x",
                ":99999/cb",
                ":/cb",
                ".evil.tld/cb",
                ".nip.io/cb",
                "@evil.tld/cb",
                ":1@evil.tld/cb",
            ] {
                assert!(!uri.matches(&format!("{host}{other}")), "{host}{other}");
            }
            assert!(!uri.matches("http://2130706433/cb"));
        }
        assert!(!registered("http://127.0.0.1/cb").matches("http://localhost/cb"));
    }

    #[test]
    fn unsafe_redirect_uris_cannot_be_registered() {
        // THREATS: RU3 RU4
        for text in [
            "http://a.example/cb",
            "https://a.example/cb#x",
            "/cb",
            "a.example/cb",
            "https://*.a.example/cb",
            "https://u@a.example/cb",
            "https://u:p@a.example/cb",
            "https://@a.example/cb",
            "https:///cb",
            "https:a.example/cb",
            "https://a.example/../cb",
            "https://a.example/%2E%2e/cb",
            "app:/cb",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            " data:text/html,x",
            "\u{1}vbscript:x",
            "blob:https://a.example/x",
            "file:///etc/passwd",
            "http://localhost.evil.tld/cb",
            "http://127.0.0.1.nip.io/cb",
            "http://2130706433/cb",
            "http://127.0.0.1@evil.tld/cb",
            "",
            "https://a.example/ cb",
            "https://\u{430}.example/cb",
        ] {
            assert!(RedirectUri::register(text).is_err(), "{text}");
        }
        for text in [
            "https://a.example/cb?tenant=1",
            "com.example.app:/cb",
            "http://127.0.0.1:8080",
            "https://a.example:8443/cb",
        ] {
            registered(text);
        }
    }

    proptest! {
        #[test]
        fn https_redirects_match_only_themselves(path in "[a-z/]{0,12}", other in "[ -~]{0,40}") {
            let Ok(uri) = RedirectUri::register(&format!("https://a.example/{path}")) else { return Ok(()) };
            prop_assert_eq!(uri.matches(&other), uri.as_str() == other);
        }

        #[test]
        fn loopback_never_matches_another_host(rest in "[ -~]{0,40}") {
            let uri = registered("http://127.0.0.1/cb");
            let presented = format!("http://127.0.0.1{rest}");
            if uri.matches(&presented) {
                let url = Url::parse(&presented).expect("url");
                prop_assert_eq!((url.host_str(), url.path(), url.query()), (Some("127.0.0.1"), "/cb", None));
            }
        }

        #[test]
        fn arbitrary_text_is_handled(text in "\\PC{0,80}") {
            let _ = RedirectUri::register(&text).map(|uri| uri.matches(&text));
        }
    }
}
