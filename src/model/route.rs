//! Owns which requests to an API need which scopes: patterns over one normal form of a path. A path that two servers could
//! read differently is refused, not guessed.

use super::scope::Scopes;

/// Longest path judged, in bytes.
pub const PATH_MAX: usize = 2048;

/// One rule of an API. The first that matches decides; where an API has rules and none matches, nobody passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `route_…`.
    pub id: String,
    /// The method, or `*`.
    pub method: String,
    /// Such as `/v1/users/{id}` or `/v1/files/*`, which is whatever is below `/v1/files/` and not the list itself.
    pub pattern: String,
    /// Scopes it needs, all of them.
    pub scopes: Scopes,
    /// Anybody may, without a credential.
    pub public: bool,
}

/// What a request needs: the rule that matches it, and with it every rule before that one which is meant for what many
/// servers take for the same request. A last slash, upper case or HEAD never lead past a rule to a weaker one.
#[derive(Debug)]
pub struct Ruling<'a> {
    rule: &'a Route,
    // Seldom any: a request costs no allocation.
    alike: Vec<&'a Route>,
}

impl<'a> Ruling<'a> {
    /// The ruling of an API with these rules on a path in normal form; nothing where no rule matches.
    #[must_use]
    pub fn of(routes: &'a [Route], method: &str, path: &str) -> Option<Self> {
        let mut alike = Vec::new();
        for rule in routes.iter().filter(|rule| rule.is_alike(method, path)) {
            if rule.matches(method, path) {
                return Some(Self { rule, alike });
            }
            alike.push(rule);
        }
        None
    }

    /// Anybody may.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.rule.public && self.alike.iter().all(|rule| rule.public)
    }

    /// The scopes that whoever holds `held` lacks.
    #[must_use]
    pub fn missing(&self, held: &Scopes) -> Scopes {
        let lacked = |rule: &Route| rule.scopes.filter(|name| !held.contains(name));
        self.alike.iter().fold(lacked(self.rule), |missing, rule| missing.union(&lacked(rule)))
    }
}

impl Route {
    /// Whether a request by `method` for a path in normal form is meant.
    #[must_use]
    pub fn matches(&self, method: &str, path: &str) -> bool {
        (self.method == "*" || self.method == method) && leads(&self.pattern, path, |piece, segment| piece == segment)
    }

    /// Whether a server may take the request for one that matches, as many do: HEAD for GET, in any case, with or without a
    /// last slash. What is below a path counts with it.
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

/// Without a last slash.
fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// Whether a pattern leads to this path. A `*` needs at least one segment.
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
/// might decode into one, nothing encoded that is not UTF-8, no backslash, semicolon or control character. A query is cut
/// off.
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
        let (decoded, length) = encoded_char(&rest[at..])?;
        // The last two are k and s to whoever folds case by the book.
        let ambiguous = decoded.is_ascii_alphanumeric()
            || decoded.is_control()
            || "-._~/\\%;".contains(decoded)
            || matches!(decoded, '\u{212A}' | '\u{17F}');
        if ambiguous {
            return None;
        }
        rest = &rest[at + length..];
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

/// The character that an ASCII text begins with, percent-encoded in UTF-8 (RFC 3986 §2.1, RFC 3629), and the length of its
/// encoding in bytes. Nothing for what only lax decoders take for one, such as `%C0%AE` for a dot.
fn encoded_char(text: &str) -> Option<(char, usize)> {
    let byte = |at: usize| {
        let digits = text.get(3 * at..3 * at + 3)?.strip_prefix('%')?;
        // `from_str_radix` takes a sign for one.
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
    };
    let first = byte(0)?;
    let count = usize::try_from(first.leading_ones().max(1)).ok().filter(|count| *count <= 4)?;
    let mut bytes = [first, 0, 0, 0];
    for (at, place) in bytes.iter_mut().enumerate().take(count).skip(1) {
        *place = byte(at)?;
    }
    let decoded = std::str::from_utf8(&bytes[..count]).ok()?.chars().next()?;
    Some((decoded, 3 * count))
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
            "/a%C0%AE%C0%AE/b",
            "/a%c0%af..",
            "/a%E0%80%AE",
            "/a%ED%A0%80",
            "/a%F8%80%80%80%AE",
            "/a%C3",
            "/a%C3%",
            "/a%C3a",
            "/a%80",
            "/a%FF",
            "/a%C2%85",
            "/a%+5",
            "/%E2%84%AAeys",
            "/u%C5%BFers",
            "/a\u{0}",
            "*",
            "http://x/a",
        ] {
            assert_eq!(normal_path(bad), None, "{bad}");
        }
        assert_eq!(normal_path("/v1/users?x=/../"), Some("/v1/users"));
        for good in ["/a%20b/%C3%A9/", "/%e2%82%ac/%F0%9F%94%91", "/%28x%29+"] {
            assert_eq!(normal_path(good), Some(good));
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
    fn no_spelling_leads_past_a_rule_to_a_weaker_one() {
        // THREATS: FA2 FA5
        let rule = |method: &str, pattern: &str, scope: &str| Route {
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
            let ruling = Ruling::of(&rules, method, path)?;
            Some((ruling.missing(&Scopes::default()).to_string(), ruling.is_public()))
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
            // Whoever guards what is below guards the list too; whoever opens what is below does not open the list.
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
        // What a public rule stands before is as open as before, in every spelling.
        let open = [rule("GET", "/status", ""), rule("*", "/{any}", "")];
        assert!(Ruling::of(&open, "HEAD", "/Status").expect("a ruling").is_public());
    }

    proptest! {
        #[test]
        fn whoever_matches_is_alike(
            pattern in "(/([a-zA-Z]{1,2}|\\{x\\})){0,3}(/\\*|/)?",
            path in "(/[a-zA-Z]{1,2}){0,4}/?",
        ) {
            for method in ["GET", "HEAD"] {
                let rule = route("GET", &pattern);
                prop_assert!(!rule.matches(method, &path) || rule.is_alike(method, &path));
            }
        }

        #[test]
        fn any_target_is_answered(target in "\\PC{0,60}", pattern in "\\PC{0,30}") {
            let _ = is_pattern(&pattern);
            if let Some(path) = normal_path(&target) {
                let _ = route("*", &pattern).matches("GET", path);
            }
        }
    }
}
