//! Owns one rule of an API: which requests need which scopes, by a pattern over the normal form of a path. Does not order
//! rules; see `rules`.

use super::{
    path::{PATH_MAX, bare},
    scope::Scopes,
};

/// One rule of an API. The first that matches decides; if an API has rules and none matches, the request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `route_…`.
    pub id: String,
    /// The method, or `*`.
    pub method: String,
    /// Such as `/v1/users/{id}` or `/v1/files/*`, which matches everything below `/v1/files/` but not the list itself.
    pub pattern: String,
    /// The scopes it needs, all of them.
    pub scopes: Scopes,
    /// Whether it allows requests without a credential.
    pub public: bool,
}

impl Rule {
    /// Whether the rule matches a request with `method` for a path in normal form.
    pub fn matches(&self, method: &str, path: &str) -> bool {
        (self.method == "*" || self.method == method) && leads(&self.pattern, path, |piece, segment| piece == segment)
    }

    /// Whether many servers may treat the request as one that matches: HEAD as GET, in any letter case, with or without
    /// a trailing slash. A pattern that ends in `/*` also covers the path above it.
    pub(super) fn is_alike(&self, method: &str, path: &str) -> bool {
        let is_read = self.method == "GET" && method.eq_ignore_ascii_case("HEAD");
        if !is_read && self.method != "*" && !self.method.eq_ignore_ascii_case(method) {
            return false;
        }
        let path = bare(path);
        match self.pattern.strip_suffix("/*") {
            Some(above) if above.split('/').count() == path.split('/').count() => {
                leads(above, path, str::eq_ignore_ascii_case)
            }
            _ => leads(bare(&self.pattern), path, str::eq_ignore_ascii_case),
        }
    }
}

/// Whether a pattern matches this path. A `*` needs at least one segment.
fn leads(pattern: &str, path: &str, same: impl Fn(&str, &str) -> bool) -> bool {
    let mut segments = path.split('/');
    for piece in pattern.split('/') {
        let Some(segment) = segments.next() else { return false };
        if piece == "*" {
            return !segment.is_empty();
        }
        let placeholder = piece.starts_with('{') && piece.ends_with('}') && !segment.is_empty();
        if !placeholder && !same(piece, segment) {
            return false;
        }
    }
    segments.next().is_none()
}

/// Whether `pattern` is valid: absolute, with segments that are plain, `{name}` or a final `*`.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::path::normal_path;

    fn route(method: &str, pattern: &str) -> Rule {
        Rule {
            id: String::new(),
            method: method.to_owned(),
            pattern: pattern.to_owned(),
            scopes: Scopes::default(),
            public: false,
        }
    }

    #[test]
    fn patterns_match_whole_segments() {
        assert!(route("GET", "/v1/users/{id}").matches("GET", "/v1/users/7"));
        assert!(!route("GET", "/v1/users/{id}").matches("GET", "/v1/users/"));
        assert!(!route("GET", "/v1/users/{id}").matches("GET", "/v1/users/7/keys"));
        assert!(!route("GET", "/v1/users").matches("POST", "/v1/users"));
        assert!(!route("*", "/v1/users").matches("GET", "/v1/Users"));
        assert!(route("*", "/files/*").matches("PUT", "/files/a/b"));
        assert!(!route("*", "/files/*").matches("GET", "/files/") && !route("*", "/files/*").matches("GET", "/files"));
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
        fn spellings_of_one_path_match_the_same_rule(
            pattern in "(/([a-zA-Z]{1,2}|\\{x\\})){0,3}(/\\*|/)?",
            path in "(/[a-zA-Z]{1,2}){0,4}/?",
        ) {
            for method in ["GET", "HEAD"] {
                let rule = route("GET", &pattern);
                prop_assert!(!rule.matches(method, &path) || rule.is_alike(method, &path));
            }
        }

        #[test]
        fn arbitrary_targets_are_handled(target in "\\PC{0,60}", pattern in "\\PC{0,30}") {
            let _ = is_pattern(&pattern);
            if let Some(path) = normal_path(&target) {
                let _ = route("*", &pattern).matches("GET", path);
            }
        }
    }
}
