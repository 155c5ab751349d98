//! Owns the rules of an API in their order, and finds those that decide a request without looking at all of them. A path
//! that two servers could read differently is refused, not guessed; see `path`.

use std::{collections::HashMap, iter::once, str::Split};

use super::{
    path::{bare, readings},
    rule::Rule,
    scope::Scopes,
};

/// The rules of an API, in order of evaluation.
#[derive(Clone, Debug)]
pub struct Rules {
    ordered: Vec<Rule>,
    /// The patterns as a tree of their segments; the first node is the root.
    nodes: Vec<Node>,
    names_methods: bool,
}

/// The patterns that begin with the same segments. Rules are numbers in the order of evaluation.
#[derive(Clone, Debug, Default)]
struct Node {
    /// What follows by a plain segment, in lower case; sorted.
    plain: Vec<(String, usize)>,
    /// What follows by a placeholder.
    placeholder: Option<usize>,
    /// Rules whose pattern ends here.
    ending: Vec<usize>,
    /// Rules whose pattern continues with a `*`.
    open: Vec<usize>,
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

impl Default for Rules {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Rules {
    /// These rules, in this order.
    pub fn new(ordered: Vec<Rule>) -> Self {
        let mut nodes = vec![Node::default()];
        let mut plain: HashMap<(usize, String), usize> = HashMap::new();
        for (number, rule) in ordered.iter().enumerate() {
            let (mut at, mut is_open) = (0, false);
            for piece in bare(&rule.pattern).split('/') {
                is_open = piece == "*";
                if is_open {
                    break;
                }
                let next = nodes.len();
                at = match piece.starts_with('{') && piece.ends_with('}') {
                    true => *nodes[at].placeholder.get_or_insert(next),
                    false => *plain.entry((at, piece.to_ascii_lowercase())).or_insert(next),
                };
                if at == next {
                    nodes.push(Node::default());
                }
            }
            if is_open { nodes[at].open.push(number) } else { nodes[at].ending.push(number) }
        }
        for ((at, segment), next) in plain {
            nodes[at].plain.push((segment, next));
        }
        nodes.iter_mut().for_each(|node| node.plain.sort_unstable());
        let names_methods = ordered.iter().any(|rule| rule.method != "*");
        Self { ordered, nodes, names_methods }
    }

    /// Whether there are none: then any credential for the API is enough.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty()
    }

    /// The rules in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.ordered.iter()
    }

    /// Whether a rule names a method, so that the method can change the decision.
    pub fn names_methods(&self) -> bool {
        self.names_methods
    }

    /// The match for a path in normal form; `None` if no rule matches.
    pub fn decide(&self, method: &str, path: &str) -> Option<RuleMatch<'_>> {
        let mut first = usize::MAX;
        self.each(path, &mut |number| {
            if number < first && self.ordered[number].matches(method, path) {
                first = number;
            }
        });
        let rule = self.ordered.get(first)?;
        // A rule for exactly this path intends its ending.
        let readings = if rule.pattern == path { Vec::new() } else { readings(path) };
        let mut alike = Vec::new();
        for reading in once(path).chain(readings.iter().map(String::as_str)) {
            self.each(reading, &mut |number| {
                if number < first && self.ordered[number].is_alike(method, reading) {
                    alike.push(number);
                }
            });
        }
        alike.sort_unstable();
        alike.dedup();
        Some(RuleMatch { rule, alike: alike.into_iter().map(|number| &self.ordered[number]).collect() })
    }

    /// Calls `found` with every rule that may match this path or be alike, and with few others.
    fn each(&self, path: &str, found: &mut dyn FnMut(usize)) {
        self.below(0, bare(path).split('/'), found);
    }

    /// Goes as deep as the longest pattern has segments, and visits each node once.
    fn below(&self, at: usize, mut segments: Split<'_, char>, found: &mut dyn FnMut(usize)) {
        let node = &self.nodes[at];
        let Some(segment) = segments.next() else {
            // A rule for what is below also applies to the path itself, as one that is alike.
            return node.ending.iter().chain(&node.open).for_each(|number| found(*number));
        };
        let lower = || segment.bytes().map(|b| b.to_ascii_lowercase());
        if let Ok(place) = node.plain.binary_search_by(|(plain, _)| plain.bytes().cmp(lower())) {
            self.below(node.plain[place].1, segments.clone(), found);
        }
        if segment.is_empty() {
            return;
        }
        node.open.iter().for_each(|number| found(*number));
        if let Some(next) = node.placeholder {
            self.below(next, segments, found);
        }
    }
}

impl<'a> RuleMatch<'a> {
    /// The first rule that matches.
    pub fn rule(&self) -> &'a Rule {
        self.rule
    }

    /// The earlier rules for a path that many servers treat as the same.
    pub fn alike(&self) -> &[&'a Rule] {
        &self.alike
    }

    /// Whether no credential is needed.
    pub fn is_public(&self) -> bool {
        self.rule.public && self.alike.iter().all(|rule| rule.public)
    }

    /// The scopes that are required.
    pub fn scopes(&self) -> Scopes {
        self.alike.iter().fold(self.rule.scopes.clone(), |all, rule| all.union(&rule.scopes))
    }

    /// The required scopes that are not in `held`.
    pub fn missing(&self, held: &Scopes) -> Scopes {
        let lacked = |rule: &Rule| rule.scopes.filter(|name| !held.contains(name));
        self.alike.iter().fold(lacked(self.rule), |missing, rule| missing.union(&lacked(rule)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::model::path::normal_path;

    fn rule(method: &str, pattern: &str, scope: &str, public: bool) -> Rule {
        Rule {
            id: String::new(),
            method: method.to_owned(),
            pattern: pattern.to_owned(),
            scopes: Scopes::parse(scope).expect("scopes"),
            public,
        }
    }

    #[test]
    fn other_spellings_of_a_path_do_not_reach_a_weaker_rule() {
        // THREATS: FA2 FA5
        let of = |method: &str, pattern: &str, scope: &str| rule(method, pattern, scope, scope.is_empty());
        let rules = Rules::new(vec![
            of("GET", "/v1/admin", "admin"),
            of("*", "/v1/files/*", ""),
            of("*", "/v1/users/{id}/", "users"),
            of("*", "/v1/keys/*", "keys"),
            of("*", "/v1/*", "read"),
        ]);
        let needs = |method: &str, path: &str| {
            let rule_match = rules.decide(method, path)?;
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
        let open = Rules::new(vec![of("GET", "/status", ""), of("*", "/{any}", "")]);
        assert!(open.decide("HEAD", "/Status").expect("a match").is_public());
    }

    #[test]
    fn look_alike_paths_do_not_reach_a_weaker_rule() {
        // THREATS: FA2
        let of = |method: &str, pattern: &str, scope: &str| rule(method, pattern, scope, false);
        let rules = Rules::new(vec![
            of("GET", "/v1/admin", "admin"),
            of("GET", "/v1/report", "admin"),
            of("GET", "/v1/report.csv", "read"),
            of("GET", "/v1/pass", "admin"),
            of("*", "/v1/*", "read"),
        ]);
        let needs = |path: &str| {
            let path = normal_path(path).expect("one reading");
            rules.decide("GET", path).expect("a match").missing(&Scopes::default()).to_string()
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

    /// The definition of a match: each rule is looked at, in order. Returns the numbers of the rules.
    fn by_looking_at_each(rules: &[Rule], method: &str, path: &str) -> Option<(usize, Vec<usize>)> {
        let mut alike: Vec<usize> = Vec::new();
        let readings = readings(path);
        let is_alike = |rule: &Rule, readings: &[String]| {
            rule.is_alike(method, path) || readings.iter().any(|reading| rule.is_alike(method, reading))
        };
        for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| is_alike(rule, &readings)) {
            if rule.matches(method, path) {
                // A rule for exactly this path intends its ending.
                if rule.pattern == path {
                    alike.retain(|number| is_alike(&rules[*number], &readings[..readings.len().min(1)]));
                }
                return Some((number, alike));
            }
            alike.push(number);
        }
        None
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[abA]{1,2}",
            1 => "(%C3%A4|a%20|%EF%BD%81|a%3Fb|a%C2%AD)",
            1 => "[ab](\\.json|\\.|\\.A)",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn the_index_finds_what_looking_at_each_rule_finds(
            rules in vec(("(GET|POST|get|\\*)", "(/([abA]{1,2}|[ab]\\.json|\\{x\\})){0,3}(/\\*|/)?"), 0..12),
            path in (vec(segment(), 0..4), "/?").prop_map(|(path, end): (Vec<String>, String)| {
                path.iter().map(|segment| format!("/{segment}")).collect::<String>() + &end
            }),
            method in "(GET|HEAD|POST|get)",
        ) {
            let rules: Vec<Rule> = rules
                .iter()
                .enumerate()
                .map(|(number, (method, pattern))| Rule { id: number.to_string(), ..rule(method, pattern, "", false) })
                .collect();
            let of = |rule: &Rule| rule.id.parse::<usize>().expect("a number");
            let indexed = Rules::new(rules.clone());
            let found = indexed.decide(&method, &path);
            let found = found.map(|found| (of(found.rule()), found.alike().iter().map(|rule| of(rule)).collect()));
            prop_assert_eq!(found, by_looking_at_each(&rules, &method, &path));
        }
    }
}
