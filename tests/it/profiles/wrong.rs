//! Owns tests of invalid profiles: refused with the line and what would be valid.

use grantd::model::profile::{PROFILE_MAX, compile};
use proptest::prelude::*;

use super::{BODY, PLACES, refused};

/// A profile with these lines at its end.
fn with(lines: &str) -> String {
    format!("{PLACES}{BODY}{lines}")
}

#[test]
fn statuses_that_allow_or_redirect_are_refused() {
    // THREATS: FA4
    for status in [0, 100, 101, 200, 201, 204, 226, 299, 300, 302, 307, 304, 399, 407, 444, 499, 500, 503, 600, 999] {
        let why = refused(&with(&format!("[refusals.missing]\nstatus = {status}")));
        assert!(why.starts_with("line 4, refusals.missing.status: ") && why.contains("use one of 400, 401"), "{why}");
        assert!(why.contains(&status.to_string()), "{why}");
    }
    for status in [200, 302, 401, 429] {
        assert!(refused(&with(&format!("[refusals.unavailable]\nstatus = {status}"))).contains("500, 502, 503, 504"));
    }
    for status in ["-1", "65536", "\"401\"", "401.0"] {
        assert!(refused(&with(&format!("[refusals.missing]\nstatus = {status}"))).starts_with("line 4: "), "{status}");
    }
}

#[test]
fn templates_that_cannot_render_are_refused() {
    for (body, content_type, why) in [
        (r#"{"a":"{nothing}"}"#, "application/json", "{nothing} is not a placeholder here: they are {code}"),
        (r#"{"a":"{code}""#, "application/json", "not JSON"),
        (r#"{"a":{code}{code}}"#, "application/json", "not JSON"),
        (r#"{"a":tru{code}}"#, "application/json", "not JSON"),
        (r#"{"a":"\{code}"}"#, "application/json", "not JSON"),
        ("{code}", "text/xml", "not XML"),
        ("<a>{code}</b>", "text/xml", "not XML"),
        ("<a b={code}/>", "text/xml", "not XML"),
        ("<a {scope}/>", "text/xml", "not XML"),
        ("<{scope}/>", "text/xml", "not XML"),
        ("<a><!-- {scope} --></a>", "text/xml", "not XML"),
        ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "text/xml", "not XML"),
        ("a\u{7}b", "text/plain", "no control characters"),
        ("{code}", "text/html", "bodies are application/json"),
        ("{code}", "image/png", "bodies are application/json"),
        ("{code}", "", "bodies are application/json"),
    ] {
        let profile = format!("{PLACES}body = {}\ncontent_type = \"{content_type}\"", toml::Value::from(body));
        let refused = refused(&profile);
        assert!(refused.contains(why), "{body}: {refused}");
    }
    for (lines, why) in [
        ("[refusals.limited]\nmessage = \"{message}\"", "{message} is not a placeholder"),
        ("[refusals.limited]\nmessage = \"{sub}\"", "{sub} is not a placeholder"),
        ("[refusals.limited]\nheaders = { X-A = \"{sub}\" }", "line 4, refusals.limited.headers: {sub} is not"),
        ("[refusals.limited]\nheaders = { X-A = \"a\\r\\nb\" }", "printable ASCII"),
        ("[refusals.limited]\nheaders = { X-A = \"\u{e4}\" }", "printable ASCII"),
    ] {
        let refused = refused(&with(lines));
        assert!(refused.contains(why), "{lines}: {refused}");
    }
}

#[test]
fn invalid_and_reserved_header_names_are_refused() {
    for name in [
        "",
        "X A",
        "X:A",
        "X\\r\\nSet-Cookie",
        "\u{dc}",
        "Set-Cookie",
        "Content-Length",
        "Transfer-Encoding",
        "Location",
        "WWW-Authenticate",
        "X-Accel-Redirect",
        "X-Auth-Status",
        "X-Auth-Body",
        "X-Request-ID",
        "Connection",
        "Cache-Control",
        "Retry-After",
    ] {
        for lines in [
            format!("[refusals.missing.headers]\n\"{name}\" = \"a\""),
            format!("[rate_limits]\nlimit = \"{name}\""),
            format!("[upstream]\nsubject = \"{name}\""),
        ] {
            let why = refused(&with(&lines));
            assert!(why.starts_with("line ") && !why.contains('\n'), "{lines}: {why}");
        }
    }
    let twice = "[rate_limits]\nlimit = \"X-Quota\"\n[upstream]\nsubject = \"x-quota\"";
    assert!(refused(&with(twice)).contains("give each its own name"));
    let plain = "[upstream]\nsubject = \"Authorization\"";
    assert!(refused(&with(plain)).contains("does not begin with X-"));
    for challenge in
        ["scheme = \"a b\"", "scheme = \"\"", "scheme = \"A\"\nrealm = 'a\"b'", "scheme = \"A\"\nrealm = \"{code}\""]
    {
        assert!(refused(&with(&format!("[challenge]\n{challenge}"))).contains("challenge"), "{challenge}");
    }
}

#[test]
fn invalid_answers_are_refused() {
    for (answers, why) in [
        ("path = \"v1\"\nbody = \"{}\"", "is not a path"),
        ("path = \"/a/../b\"\nbody = \"{}\"", "is not a path"),
        ("path = \"/a?b\"\nbody = \"{}\"", "is not a path"),
        ("path = \"/a\"\nbody = \"\\\"{code}\\\"\"", "{code} is not a placeholder here: they are {docs_url}"),
        ("path = \"/a\"\nbody = \"{subject\"", "not JSON"),
        ("path = \"/a\"\nbody = \"{}\"\nanonymous = \"no\"", "not JSON"),
        ("path = \"/a\"\nbody = \"{}\"\n[[answers]]\npath = \"/a\"\nbody = \"{}\"", "/a is answered twice"),
        ("path = \"/a\"\nbodies = 1", "unknown field `bodies`"),
    ] {
        let refused = refused(&with(&format!("[[answers]]\n{answers}")));
        assert!(refused.contains(why), "{answers}: {refused}");
    }
    let nine: String = (0..9).map(|n| format!("[[answers]]\npath = \"/{n}\"\nbody = \"{{}}\"\n")).collect();
    assert!(refused(&with(&nine)).contains("at most 8"));
    let refused = refused(&with("[refusals.missing]\nmessage = \"{subject}\""));
    assert!(refused.contains("{subject} is not a placeholder here: they are {code}"), "{refused}");
}

#[test]
fn oversized_profiles_are_refused() {
    // THREATS: HX5
    let body = |length: usize| format!("{PLACES}content_type = \"text/plain\"\nbody = \"{}\"", "a".repeat(length));
    compile("test", &body(4096)).expect("4 KB");
    assert!(refused(&body(4097)).contains("a body has at most 4 KB"));
    let repeated = format!(
        "{PLACES}content_type = \"text/plain\"\nbody = \"{}\"\n[refusals.missing]\nmessage = \"{}\"",
        "{message}".repeat(400),
        "a".repeat(500)
    );
    assert!(refused(&repeated).contains("with its placeholders filled in a body has at most 4 KB"));
    let holes = format!("{PLACES}content_type = \"text/plain\"\nbody = \"{}\"", "{scope}".repeat(33));
    assert!(refused(&holes).contains("at most 32 placeholders"));
    for lines in [
        format!("[refusals.missing]\nmessage = \"{}\"", "a".repeat(513)),
        format!("[refusals.missing]\ncode = \"{}\"", "a".repeat(513)),
        format!("[refusals.missing]\nheaders = {{ X-A = \"{}\" }}", "a".repeat(513)),
        format!("[rate_limits]\nlimit = \"X-{}\"", "a".repeat(80)),
        format!("[refusals.missing.headers]\n{}", (0..9).map(|n| format!("X-{n} = \"a\"\n")).collect::<String>()),
    ] {
        assert!(refused(&with(&lines)).contains("at most"), "{lines}");
    }
    let long = format!("{}# {}", with(""), "a".repeat(PROFILE_MAX));
    assert_eq!(refused(&long), "a profile has at most 16 KB");
    assert_eq!(refused(&"[".repeat(10 << 20)), "a profile has at most 16 KB");
}

#[test]
fn invalid_toml_is_refused_with_its_line() {
    for (text, line) in [
        (String::new(), "line 1: missing field `places`"),
        (PLACES.to_owned(), "missing field `body`"),
        (with("bodies = 1"), "line 3: unknown field `bodies`"),
        (with("\n\n[refusals.gone]"), "line 5: unknown field `gone`"),
        (with("[refusals.missing]\nstatuss = 401"), "line 4: unknown field `statuss`"),
        (with("[refusals.missing]\nstatus = 401\nstatus = 402"), "line 5: duplicate key"),
        (with("[refusals.missing]\ncode = [1]"), "line 4: a code is a text or a number"),
        ("not TOML".to_owned(), "line 1: "),
        ("{\"places\":[]}".to_owned(), "line 1: "),
        (format!("a = {}", "[".repeat(5000)), "line 1: "),
        ("\0\u{feff}\u{202e}".to_owned(), "line 1: "),
    ] {
        let refused = refused(&text);
        assert!(refused.contains(line) && !refused.contains('\n'), "{text:.80}: {refused}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in "(?s).{0,200}", lines in "[a-z_.\\[\\]{}=\"' \n]{0,200}") {
        drop(compile("test", &text));
        drop(compile("test", &with(&lines)));
    }

    #[test]
    fn arbitrary_bodies_are_refused_or_render(body in "[\\{\\}\"a-z_:,\\\\<>/&; ]{0,60}", syntax in "(application/json|text/xml|text/plain)") {
        let text = format!("{PLACES}content_type = \"{syntax}\"\nbody = {}", toml::Value::from(body));
        if let Ok(dialect) = compile("test", &text) {
            for rejection in super::rejections() {
                let (_, body, _) = super::told(&dialect, &rejection);
                if syntax == "application/json" && !body.is_empty() {
                    prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{}", body);
                }
            }
        }
    }
}
