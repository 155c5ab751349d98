//! Owns the scopes that requests to an API need: patterns over the normal form of a path. A path that two servers could
//! read differently is refused, not guessed.

use super::{
    path::{PATH_MAX, bare, readings},
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

/// The requirements of a request: the rule that matches it, and every earlier rule for a path that many servers treat
/// as the same. A trailing slash, upper case, HEAD, another way to write a letter, or an ending such as `.json` never
/// bypass a rule in favour of a weaker one.
#[derive(Debug)]
pub struct RuleMatch<'a> {
    rule: &'a Rule,
    // Usually empty, so a request needs no allocation.
    alike: Vec<&'a Rule>,
}

impl<'a> RuleMatch<'a> {
    /// The match for a path in normal form among these rules; `None` if no rule matches.
    pub fn of(routes: &'a [Rule], method: &str, path: &str) -> Option<Self> {
        let mut alike: Vec<&Rule> = Vec::new();
        let readings = readings(path);
        let is_alike = |rule: &Rule, readings: &[String]| {
            rule.is_alike(method, path) || readings.iter().any(|reading| rule.is_alike(method, reading))
        };
        for rule in routes.iter().filter(|rule| is_alike(rule, &readings)) {
            if rule.matches(method, path) {
                // A rule for exactly this path intends its ending.
                if rule.pattern == path {
                    alike.retain(|rule| is_alike(rule, &readings[..readings.len().min(1)]));
                }
                return Some(Self { rule, alike });
            }
            alike.push(rule);
        }
        None
    }

    /// Whether no credential is needed.
    pub fn is_public(&self) -> bool {
        self.rule.public && self.alike.iter().all(|rule| rule.public)
    }

    /// The required scopes that are not in `held`.
    pub fn missing(&self, held: &Scopes) -> Scopes {
        let lacked = |rule: &Rule| rule.scopes.filter(|name| !held.contains(name));
        self.alike.iter().fold(lacked(self.rule), |missing, rule| missing.union(&lacked(rule)))
    }
}

impl Rule {
    /// Whether the rule matches a request with `method` for a path in normal form.
    pub fn matches(&self, method: &str, path: &str) -> bool {
        (self.method == "*" || self.method == method) && leads(&self.pattern, path, |piece, segment| piece == segment)
    }

    /// Whether many servers may treat the request as one that matches: HEAD as GET, in any letter case, with or without
    /// a trailing slash. A pattern that ends in `/*` also covers the path above it.
    fn is_alike(&self, method: &str, path: &str) -> bool {
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

    #[test]
    fn other_spellings_of_a_path_do_not_reach_a_weaker_rule() {
        // THREATS: FA2 FA5
        let rule = |method: &str, pattern: &str, scope: &str| Rule {
            scopes: Scopes::parse(scope).expect("scopes"),
            public: scope.is_empty(),
            ..route(method, pattern)
        };
        let rules = [
            rule("GET", "/v1/admin", "admin"),
            rule("*", "/v1/files/*", ""),
            rule("*", "/v1/users/{id}/", "users"),
            rule("*", "/v1/keys/*", "keys"),
            rule("*", "/v1/*", "read"),
        ];
        let needs = |method: &str, path: &str| {
            let rule_match = RuleMatch::of(&rules, method, path)?;
            Some((rule_match.missing(&Scopes::default()).to_string(), rule_match.is_public()))
        };
        for (method, path, scopes) in [
            ("GET", "/v1/admin", "admin"),
            ("GET", "/v1/admin/", "admin read"),
            ("GET", "/v1/Admin", "admin read"),
            ("GET", "/V1/ADMIN/", ""),
            ("HEAD", "/v1/admin", "admin read"),
            ("head", "/v1/admin/", "admin read"),
            ("get", "/v1/admin", "admin read"),
            ("POST", "/v1/admin", "read"),
            ("GET", "/v1/admin/x", "read"),
            ("GET", "/v1/administration", "read"),
            ("GET", "/v1/users/7", "read users"),
            ("GET", "/v1/users/7/", "users"),
            ("GET", "/v1/users/", "read"),
            // A rule that protects the items protects the list too; a rule that opens the items does not open the list.
            ("GET", "/v1/keys", "keys read"),
            ("GET", "/v1/keys/", "keys read"),
            ("GET", "/v1/keys/7", "keys"),
            ("GET", "/v1/files", "read"),
            ("GET", "/v1/files/", "read"),
        ] {
            let expected = (!scopes.is_empty()).then(|| (scopes.to_owned(), false));
            assert_eq!(needs(method, path), expected, "{method} {path}");
        }
        assert_eq!(needs("GET", "/v1/files/a"), Some((String::new(), true)));
        assert_eq!(needs("GET", "/v1"), None);
        // Public rules before a public rule leave it open, in every spelling.
        let open = [rule("GET", "/status", ""), rule("*", "/{any}", "")];
        assert!(RuleMatch::of(&open, "HEAD", "/Status").expect("a rule_match").is_public());
    }

    #[test]
    fn look_alike_paths_do_not_reach_a_weaker_rule() {
        // THREATS: FA2
        let rule = |method: &str, pattern: &str, scope: &str| Rule {
            scopes: Scopes::parse(scope).expect("scopes"),
            ..route(method, pattern)
        };
        let rules = [
            rule("GET", "/v1/admin", "admin"),
            rule("GET", "/v1/report", "admin"),
            rule("GET", "/v1/report.csv", "read"),
            rule("GET", "/v1/pass", "admin"),
            rule("*", "/v1/*", "read"),
        ];
        let needs = |path: &str| {
            let path = normal_path(path).expect("one reading");
            RuleMatch::of(&rules, "GET", path).expect("a rule_match").missing(&Scopes::default()).to_string()
        };
        for path in [
            "/v1/adm%C4%B1n",
            "/v1/adm%C4%B0n",
            "/v1/%EF%BD%81dmin",
            "/v1/%EF%BC%A1DMIN",
            "/v1/ad%C2%ADmin",
            "/v1/pa%C3%9F",
            "/v1/admin.json",
            "/v1/Admin.XML/",
            "/v1/admin.",
            "/v1/admin...",
            "/v1/admin%20",
            "/v1/admin%C2%A0",
            "/v1/%20admin",
            "/v1/admin%3F",
            "/v1/admin%3Fx=1",
            "/v1/admin%23",
            "/v1/admin%23x",
            "/v1/report.CSV",
        ] {
            assert_eq!(needs(path), "admin read", "{path}");
        }
        // Paths that no server would confuse, and one with a rule of its own.
        for path in ["/v1/admins.json", "/v1/admin.tar.gz", "/v1/%C3%A4dmin", "/v1/report.csv", "/v1/a.b"] {
            assert_eq!(needs(path), "read", "{path}");
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
