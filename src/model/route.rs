//! Owns which requests to an API need which scopes: patterns over one normal form of a path. A path that two servers could
//! read differently is refused, not guessed.

use super::scope::Scopes;

/// Longest path judged, in bytes.
const PATH_MAX: usize = 2048;

/// One rule of an API. The first that matches decides; where an API has rules and none matches, nobody passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `route_…`.
    pub id: String,
    /// The method, or `*`.
    pub method: String,
    /// Such as `/v1/users/{id}` or `/v1/files/*`.
    pub pattern: String,
    /// Scopes it needs, all of them.
    pub scopes: Scopes,
    /// Anybody may, without a credential.
    pub public: bool,
}

impl Route {
    /// Whether a request by `method` for a path in normal form is meant.
    #[must_use]
    pub fn matches(&self, method: &str, path: &str) -> bool {
        let mut segments = path.split('/');
        if self.method != "*" && self.method != method {
            return false;
        }
        for piece in self.pattern.split('/') {
            if piece == "*" {
                return true;
            }
            let Some(segment) = segments.next() else { return false };
            let placeholder = piece.starts_with('{') && piece.ends_with('}') && !segment.is_empty();
            if !placeholder && piece != segment {
                return false;
            }
        }
        segments.next().is_none()
    }
}

/// Whether `pattern` is one: absolute, its segments plain, `{name}` or a last `*`.
#[must_use]
pub fn is_pattern(pattern: &str) -> bool {
    let pieces: Vec<&str> = pattern.split('/').collect();
    let plain = |piece: &str| {
        piece.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) && piece != "." && piece != ".."
    };
    let piece = |(at, piece): (usize, &&str)| {
        let named = piece
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .is_some_and(|name| !name.is_empty() && plain(name));
        let last = at == pieces.len() - 1;
        named || (*piece == "*" && last) || (plain(piece) && (!piece.is_empty() || at == 0 || last))
    };
    pattern.starts_with('/') && pattern.len() <= PATH_MAX && pieces.iter().enumerate().all(piece)
}

/// The path of a request target, if it has only one reading: no empty or dot segments, no encoded characters that a server
/// might decode into one, no backslash, semicolon or control character. A query is cut off.
#[must_use]
pub fn normal_path(target: &str) -> Option<&str> {
    let path = target.split('?').next()?;
    let unreadable = |b: u8| {
        !(0x21..=0x7E).contains(&b)
            || matches!(b, b'\\' | b';' | b'#' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    if !path.starts_with('/') || path.len() > PATH_MAX || path.bytes().any(unreadable) {
        return None;
    }
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let byte = u8::from_str_radix(rest.get(at + 1..at + 3)?, 16).ok()?;
        let ambiguous = byte.is_ascii_alphanumeric()
            || !(0x21..=0x7E).contains(&byte) && byte < 0x80
            || b"-._~/\\%;".contains(&byte);
        if ambiguous && byte != b' ' {
            return None;
        }
        rest = &rest[at + 3..];
    }
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment == "." || segment == ".." || (segment.is_empty() && !last) {
            return None;
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(method: &str, pattern: &str) -> Route {
        Route {
            id: String::new(),
            method: method.to_owned(),
            pattern: pattern.to_owned(),
            scopes: Scopes::default(),
            public: false,
        }
    }

    #[test]
    fn paths_with_two_readings_are_refused() {
        // THREATS: FA2
        for bad in [
            "",
            "a",
            "//a",
            "/a//b",
            "/./a",
            "/a/../b",
            "/a/..",
            "/%2e%2e/a",
            "/%2E/a",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a;x=1",
            "/a#b",
            "/a%00",
            "/a%0d",
            "/a%252e",
            "/%61dmin",
            "/a%",
            "/a%zz",
            "/a b",
            "/\u{430}",
            "/a\u{0}",
            "*",
            "http://x/a",
        ] {
            assert_eq!(normal_path(bad), None, "{bad}");
        }
        assert_eq!(normal_path("/v1/users?x=/../"), Some("/v1/users"));
        assert_eq!(normal_path("/a%20b/%C3%A9/"), Some("/a%20b/%C3%A9/"));
    }

    #[test]
    fn patterns_match_whole_segments() {
        assert!(route("GET", "/v1/users/{id}").matches("GET", "/v1/users/7"));
        assert!(!route("GET", "/v1/users/{id}").matches("GET", "/v1/users/"));
        assert!(!route("GET", "/v1/users/{id}").matches("GET", "/v1/users/7/keys"));
        assert!(!route("GET", "/v1/users").matches("POST", "/v1/users"));
        assert!(!route("*", "/v1/users").matches("GET", "/v1/Users"));
        assert!(route("*", "/files/*").matches("PUT", "/files/a/b"));
        for (pattern, is) in [
            ("/a/{b}/*", true),
            ("a", false),
            ("/a/*/b", false),
            ("/a//b", false),
            ("/../a", false),
            ("/a%20", false),
            ("/", true),
        ] {
            assert_eq!(is_pattern(pattern), is, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn any_target_is_answered(target in "\\PC{0,60}", pattern in "\\PC{0,30}") {
            let _ = is_pattern(&pattern);
            if let Some(path) = normal_path(&target) {
                let _ = route("*", &pattern).matches("GET", path);
            }
        }
    }
}
