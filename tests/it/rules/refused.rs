//! Owns files that are refused whole, with line and reason: garbage, size, cycles, bombs, conflicts.

use grantd::engine::rule_import::{FILE_MAX, Options, read};
use proptest::prelude::*;

#[track_caller]
fn refused(text: &str) -> String {
    read(text, &Options::default()).expect_err("refused").description.into_owned()
}

/// The rest of a document, below a first line with its version.
fn rest(text: &str) -> String {
    format!("openapi: 3.0.3\n{text}")
}

#[test]
fn a_mistake_is_told_with_its_line() {
    // THREATS: HX5
    let schemes = "components: { securitySchemes: { o: { type: oauth2 } } }\n";
    for (text, words) in [
        ("", "the file is no OpenAPI document"),
        ("hello", "line 1"),
        ("- a\n- b\n", "line 1"),
        ("a: [1\nb: 2\n", "line 2"),
        ("openapi: 3.0.0\nopenapi: 3.0.0\n", "line 2"),
        ("openapi: 3.2.0\npaths: {}\n", "line 1: version 3.2.0 is not one of"),
        ("swagger: \"1.2\"\n", "line 1: version 1.2 is not one of"),
        ("openapi: 3.0.0\nswagger: 2.0\n", "the file is no OpenAPI document"),
        ("openapi: 3.0.0\n---\nopenapi: 3.0.0\n", "line"),
        (&rest("paths: {}\n"), "the document has no operations"),
        (&rest("paths: [a]\n"), "line 2"),
        (&rest("paths:\n  a:\n    get: {}\n"), "line 3: the path a does not begin with a slash"),
        (&rest("paths:\n  /a:\n    GET: {}\n"), "GET is neither a method"),
        (&rest("paths:\n  /a b:\n    get: {}\n"), "line 4: GET /a b: path must be like"),
        (&rest("paths:\n  /a/{b}.json:\n    get: {}\n"), "line 4: GET /a/{b}.json: path must be like"),
        (&rest("paths:\n  /../a:\n    get: {}\n"), "line 4: GET /../a: path must be like"),
        (
            &rest("paths:\n  /a:\n    get: { security: [{ x: [] }] }\n"),
            "line 4: GET /a: the security scheme x is not defined",
        ),
        (&rest("paths:\n  /a:\n    get: { security: [x] }\n"), "line 4"),
        (
            &rest(&format!("paths:\n  /a:\n    get: {{ security: [{{ o: [\"a b\"] }}] }}\n{schemes}")),
            "line 4: GET /a: a scope is one word",
        ),
        (&rest("paths:\n  /a: { get: {} }\n  /a: { put: {} }\n"), "line 4"),
        (
            &rest("paths:\n  /{a}:\n    get: {}\n  /{b}:\n    get: {}\n"),
            "line 6: GET /{b} is the same as GET /{a} at line 4",
        ),
        (
            &rest("paths:\n  /a/{b}:\n    get: {}\n  /{a}/b:\n    get: { security: [] }\n"),
            "line 6: GET /{a}/b and GET /a/{b} at line 4 take some of the same paths and need different things",
        ),
        (
            &rest("paths:\n  /a:\n    $ref: other.yaml#/a\n"),
            "line 4: the reference other.yaml#/a leads to another file",
        ),
        (&rest("paths:\n  /a:\n    $ref: '#/components/pathItems/x'\n"), "leads nowhere"),
        (&rest("paths:\n  /a: { $ref: '#/paths/~1b' }\n  /b: { $ref: '#/paths/~1a' }\n"), "leads back to itself"),
        (
            &rest(
                "paths:\n  /a: { get: { security: [{ o: [] }] } }\ncomponents:\n  securitySchemes: { o: { $ref: '#/components/securitySchemes/o' } }\n",
            ),
            "leads back to itself",
        ),
        ("rules:\n- path: a\n", "line 2: a: path must be like"),
        ("rules:\n- path: /a\n- path: /a\n", "line 3: * /a has a rule already, at line 2"),
        ("rules:\n- path: /a\n  scope: x\n", "line 3"),
        ("rules:\n- { path: /a, public: true, scopes: [x] }\n", "line 2: /a: a public rule cannot require scopes"),
    ] {
        let said = refused(text);
        assert!(said.contains(words), "{text:?} says {said:?}");
        assert!(said.len() < 4096 && !said.contains('\n'), "{said:?}");
    }
}

#[test]
fn of_many_mistakes_some_are_told_and_the_rest_counted() {
    let paths: String = (0..50).map(|n| format!("  /a b{n}:\n    get: {{}}\n")).collect();
    let said = refused(&rest(&format!("paths:\n{paths}")));
    assert!(said.contains("line 4: ") && said.ends_with("and 40 more"), "{said}");
}

#[test]
fn size_depth_and_aliases_are_bounded() {
    // THREATS: HX5 HX9
    let long = " ".repeat(10_000_000);
    assert_eq!(refused(&long), "the file is larger than 8 MiB");
    for deep in ["[".repeat(FILE_MAX), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)] {
        assert!(!refused(&deep).is_empty());
    }
    let nested = format!("openapi: 3.0.3\nx-a: {}1{}\npaths: {{}}\n", "[".repeat(200), "]".repeat(200));
    assert!(refused(&nested).contains("line 2"), "{}", refused(&nested));
    // Each anchor repeats the one before ten times.
    let mut bomb = "openapi: 3.0.3\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let times = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{times}]\n"));
    }
    let said = refused(&format!("{bomb}paths: {{}}\n"));
    assert!(said.contains("alias replay limit exceeded"), "{said}");
    for cycle in
        ["openapi: 3.0.3\na: &a [*a]\npaths: {}\n", "openapi: 3.0.3\npaths: &p\n  /a: *p\n", "a: *b\nb: &b *b\n"]
    {
        assert!(refused(cycle).starts_with("line "), "{}", refused(cycle));
    }
    let many: String = (0..10_001).map(|n| format!("  /p{n}: {{ get: {{}} }}\n")).collect();
    assert!(refused(&rest(&format!("paths:\n{many}"))).contains("at most 10000 rules"));
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,80}", yaml in "[\\[\\]{}:,&*!|>'\"%@` #a-c0-9\n\t?-]{0,120}") {
        for text in [&text, &yaml, &rest(&yaml), &rest(&format!("paths:\n  /a:\n    {yaml}"))] {
            drop(read(text, &Options::default()));
        }
    }
}
