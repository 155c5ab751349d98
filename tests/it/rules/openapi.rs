//! Owns what rules an OpenAPI document makes: scopes, base paths, order, and what is public.

use std::collections::BTreeMap;

use grantd::{
    engine::rule_import::{Options, read},
    model::{rule::Rule, rules::Rules, scope::Scopes},
};
use proptest::{collection::btree_map, prelude::*, sample::subsequence};
use serde_json::{Value, json};

const PETS: &str = r##"openapi: 3.1.0
info: { title: Pets, version: "1" }
servers:
  - url: https://api.example.com/v1/
security:
  - oauth: [pets:read]
paths:
  x-note: { get: nothing }
  /pets/{id}:
    parameters: [{ name: id, in: path, required: true, schema: { type: string } }]
    get: { responses: {} }
    delete:
      security: [{ oauth: [pets:write, pets:read] }]
  /pets/mine:
    get:
      security: [{ oauth: [pets:mine] }]
  /status:
    get:
      security: []
    head:
      security: [{}, { oauth: [pets:read] }]
  /uploads:
    servers: [{ url: https://uploads.example.com }]
    post:
      security: [{ key: [] }, { oauth: [pets:write] }]
    put:
      servers: [{ url: /files }]
      security: [{ key: [] }]
components:
  securitySchemes:
    key: { type: apiKey, in: header, name: X-Key }
    oauth:
      type: oauth2
      flows:
        clientCredentials:
          tokenUrl: https://auth.example.com/token
          scopes: { pets:read: "See pets,\n  all of them", pets:write: Change pets }
"##;

fn shown(rule: &Rule) -> String {
    let needs = if rule.public { "public".to_owned() } else { format!("[{}]", rule.scopes) };
    format!("{} {} {needs}", rule.method, rule.pattern)
}

#[track_caller]
fn rules(text: &str, options: &Options) -> Vec<String> {
    read(text, options).expect("rules").rules.iter().map(|made| shown(&made.rule)).collect()
}

#[track_caller]
fn refused(text: &str, options: &Options) -> String {
    read(text, options).expect_err("refused").description.into_owned()
}

/// A document with these paths, and an OAuth scheme `o` and a key `k`.
fn document(paths: Value) -> String {
    json!({
        "openapi": "3.0.3",
        "paths": paths,
        "components": { "securitySchemes": { "o": { "type": "oauth2", "flows": {} }, "k": { "type": "apiKey" } } },
    })
    .to_string()
}

#[test]
fn operations_become_rules_with_plain_paths_first() {
    let expected = [
        "PUT /files/uploads []",
        "POST /uploads [pets:write]",
        "GET /v1/pets/mine [pets:mine]",
        "DELETE /v1/pets/{id} [pets:read pets:write]",
        "GET /v1/pets/{id} [pets:read]",
        "GET /v1/status public",
        "HEAD /v1/status public",
    ];
    assert_eq!(rules(PETS, &Options::default()), expected);
    let imported = read(PETS, &Options::default()).expect("rules");
    let lines: Vec<u64> = imported.rules.iter().map(|made| made.line).collect();
    assert_eq!(lines, [26, 24, 15, 12, 11, 18, 20]);
    let scopes: Vec<(&str, &str, u64)> =
        imported.scopes.iter().map(|(name, scope)| (name.as_str(), scope.description.as_str(), scope.line)).collect();
    let described =
        [("pets:mine", "pets:mine", 15), ("pets:read", "See pets, all of them", 11), ("pets:write", "Change pets", 12)];
    assert_eq!(scopes, described);
    let elsewhere = Options { base_path: Some("/api/".to_owned()), ..Options::default() };
    assert!(rules(PETS, &elsewhere).iter().all(|rule| rule.contains(" /api/")));
}

#[test]
fn where_no_security_is_declared_any_credential_will_do_unless_it_is_said_to_be_public() {
    // THREATS: FA5
    let silent = document(json!({ "/a": { "get": {} }, "/b": { "get": { "security": [] } } }));
    assert_eq!(rules(&silent, &Options::default()), ["GET /a []", "GET /b public"]);
    let imported = read(&silent, &Options::default()).expect("rules");
    assert_eq!(imported.rules.iter().map(|made| made.is_undeclared).collect::<Vec<_>>(), [true, false]);
    let open = Options { undeclared_public: true, ..Options::default() };
    assert_eq!(rules(&silent, &open), ["GET /a public", "GET /b public"]);
}

#[test]
fn of_alternatives_the_one_that_needs_least_counts_and_others_are_refused() {
    // THREATS: FA5
    let with = |security: Value| document(json!({ "/a": { "get": { "security": security } } }));
    for (security, expected) in [
        (json!([{ "o": ["r"] }, { "o": ["r", "w"] }]), "GET /a [r]"),
        (json!([{ "o": [] }, { "o": ["w"] }]), "GET /a []"),
        // A key names no scopes in OpenAPI, which does not open what needs some.
        (json!([{ "k": [] }, { "o": ["w"] }]), "GET /a [w]"),
        (json!([{ "k": [] }, { "o": [] }]), "GET /a []"),
        (json!([{ "k": [], "o": ["w"] }]), "GET /a [w]"),
        (json!([{ "k": null }]), "GET /a []"),
    ] {
        assert_eq!(rules(&with(security.clone()), &Options::default()), [expected], "{security}");
    }
    let either = with(json!([{ "o": ["r"] }, { "o": ["admin"] }]));
    let words = refused(&either, &Options::default());
    assert!(words.contains("line 1: GET /a: it takes r or admin") && words.contains("--all-alternatives"), "{words}");
    let all = Options { all_alternatives: true, ..Options::default() };
    assert_eq!(rules(&either, &all), ["GET /a [admin r]"]);
}

#[test]
fn servers_and_their_variables_are_base_paths() {
    let with = |servers: Value| {
        let mut made: Value = serde_json::from_str(&document(json!({ "/a": { "get": {} } }))).expect("JSON");
        made["servers"] = servers;
        made.to_string()
    };
    let of = |servers: Value| rules(&with(servers), &Options::default());
    let version = json!({ "default": "v2", "enum": ["v1", "v2"] });
    let host = json!({ "default": "eu" });
    let url = "https://{host}.example.com/{version}";
    let variables = json!({ "version": version, "host": host });
    assert_eq!(of(json!([{ "url": url, "variables": variables }])), ["GET /v1/a []", "GET /v2/a []"]);
    assert_eq!(of(json!([{ "url": "https://a.example" }, { "url": "https://b.example/" }])), ["GET /a []"]);
    for (servers, words) in [
        (json!([{ "url": "v1" }]), "relative"),
        (json!([{ "url": "/{version}" }]), "not defined"),
        (json!([{ "url": "/a b" }]), "path must be like"),
    ] {
        let said = refused(&with(servers), &Options::default());
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn swagger_2_has_a_base_path_and_its_own_place_for_schemes() {
    let swagger = "swagger: 2.0\nbasePath: /v1\npaths:\n  /a:\n    get:\n      security: [{ o: [read] }]\n\
                   securityDefinitions:\n  o: { type: oauth2, flow: implicit, scopes: { read: See it } }\n";
    assert_eq!(rules(swagger, &Options::default()), ["GET /v1/a [read]"]);
    let scopes = read(swagger, &Options::default()).expect("rules").scopes;
    assert_eq!(scopes["read"].description, "See it");
}

#[test]
fn a_path_item_may_be_elsewhere_in_the_document() {
    let mut made: Value = serde_json::from_str(&document(json!({
        "/a": { "$ref": "#/components/pathItems/One" },
        "/b": { "$ref": "#/paths/~1a" },
    })))
    .expect("JSON");
    made["components"]["pathItems"] = json!({ "One": { "get": { "security": [{ "o": ["r"] }] } } });
    made["components"]["securitySchemes"]["o"] = json!({ "$ref": "#/components/securitySchemes/p" });
    made["components"]["securitySchemes"]["p"] = json!({ "type": "oauth2" });
    assert_eq!(rules(&made.to_string(), &Options::default()), ["GET /a [r]", "GET /b [r]"]);
}

#[test]
fn a_file_of_rules_is_taken_as_it_is() {
    let file = "# ours\nrules:\n- {\"method\": \"GET\", \"path\": \"/b/*\", \"scopes\": [\"r\"]}\n\
                - path: /a\n  public: true\n- { path: \"/{x}\" }\n";
    assert_eq!(rules(file, &Options::default()), ["GET /b/* [r]", "* /a public", "* /{x} []"]);
    assert_eq!(rules("rules: []", &Options::default()), [""; 0]);
}

/// Scopes of an operation, or that it is public.
fn security() -> impl Strategy<Value = Option<Vec<String>>> {
    let scopes = subsequence(vec!["r".to_owned(), "s".to_owned(), "t".to_owned()], 0..=3);
    prop_oneof![4 => scopes.prop_map(Some), 1 => Just(None)]
}

proptest! {
    #[test]
    fn each_operation_is_decided_by_what_it_declares(
        operations in btree_map(("(get|post)", "(/(a|b|\\{x\\})){1,3}"), security(), 1..12),
    ) {
        let mut paths: BTreeMap<&str, Value> = BTreeMap::new();
        for ((method, path), scopes) in &operations {
            let declared = match scopes {
                Some(scopes) => json!([{ "o": scopes }]),
                None => json!([]),
            };
            paths.entry(path).or_insert_with(|| json!({}))[method] = json!({ "security": declared });
        }
        match read(&document(json!(paths)), &Options::default()) {
            Ok(imported) => {
                let rules = Rules::new(imported.rules.into_iter().map(|made| made.rule).collect());
                for ((method, path), scopes) in &operations {
                    // What stands for a placeholder is no plain segment of another path.
                    let (method, path) = (method.to_uppercase(), path.replace("{x}", "z"));
                    let found = rules.decide(&method, &path).expect("a rule");
                    prop_assert!(found.alike().is_empty());
                    prop_assert_eq!(found.is_public(), scopes.is_none());
                    let expected: Scopes = scopes.iter().flatten().cloned().collect();
                    prop_assert_eq!(found.scopes(), expected);
                }
            }
            Err(error) => {
                prop_assert!(error.description.contains("take some of the same paths"), "{}", error);
            }
        }
    }
}
