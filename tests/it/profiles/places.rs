//! Owns tests of the places where credentials are accepted, and of two that differ.

use data_encoding::BASE64;
use grantd::model::reason::Reason;

use super::{BODY, compiled, headers, refused};

fn with(places: &str) -> String {
    format!("places = [{places}]\n{BODY}")
}

#[test]
fn credentials_are_found_in_each_place() {
    let dialect = compiled(&with(
        r#"{ header = "X-Acme-Token" }, { header = "Authorization", scheme = "Token" },
           { header = "authorization", scheme = "Bearer" }, { basic = "username" }, { cookie = "acme_key" },
           { query = "key" }"#,
    ));
    let basic = |text: &str| format!("Basic {}", BASE64.encode(text.as_bytes()));
    for (name, value, query) in [
        ("x-acme-token", "secret", ""),
        ("authorization", "token secret", ""),
        ("authorization", "Bearer  secret ", ""),
        ("authorization", &basic("secret:"), ""),
        ("authorization", &basic("secret:x"), ""),
        ("cookie", "a=b; acme_key=secret; c=d", ""),
        ("accept", "*/*", "a=b&key=secret"),
        ("accept", "*/*", "k%65y=s%65cret"),
    ] {
        let headers = headers(&[(name, value)]);
        let found = dialect.credential(&headers, query).expect("one credential");
        assert_eq!(found.as_deref(), Some("secret"), "{name}: {value} {query}");
    }
    for (name, value, query) in
        [("accept", "*/*", "Key=secret"), ("cookie", "ACME_KEY=secret", ""), ("x-acme-token", "", "")]
    {
        assert_eq!(dialect.credential(&headers(&[(name, value)]), query), Ok(None), "{name}: {value} {query}");
    }
    for value in ["secret", "Digest secret", "Bearer", "Basic %%%", &basic("secret"), &basic(":x"), &basic("")] {
        let headers = headers(&[("authorization", value)]);
        assert_eq!(dialect.credential(&headers, ""), Err(Reason::Unknown), "{value}");
    }
}

#[test]
fn conflicting_credentials_are_malformed() {
    // THREATS: FA4
    let places = r#"{ header = "X-Key" }, { cookie = "k" }, { query = "key" }, { basic = "password" }"#;
    let dialect = compiled(&with(places));
    let basic = |text: &str| format!("Basic {}", BASE64.encode(text.as_bytes()));
    let (same, other) = (basic("user:one"), basic("user:two"));
    let all = headers(&[("x-key", "one"), ("x-key", "one"), ("cookie", "k=one"), ("authorization", &same)]);
    assert_eq!(dialect.credential(&all, "key=one&key=one"), Ok(Some("one".into())));
    for (sent, query) in [
        (vec![("x-key", "one"), ("x-key", "two")], ""),
        (vec![("x-key", "one"), ("cookie", "k=two")], ""),
        (vec![("cookie", "k=one; k=two")], ""),
        (vec![("cookie", "k=one"), ("cookie", "k=two")], ""),
        (vec![("x-key", "one")], "key=two"),
        (vec![], "key=one&key=two"),
        (vec![("x-key", "one"), ("authorization", &other)], ""),
        (vec![("x-key", "")], "key=one"),
    ] {
        let sent = headers(&sent);
        let read = dialect.credential(&sent, query);
        assert!(matches!(read, Err(Reason::Malformed(_))), "{sent:?} {query}: {read:?}");
    }
}

#[test]
fn first_place_counts_if_the_profile_says_so() {
    // THREATS: FA4
    let places = r#"{ query = "key" }, { header = "Authorization", scheme = "Bearer" }, { cookie = "k" }, { header = "X-Key" },
        { basic = "username" }"#;
    let dialect = compiled(&format!("conflict = \"first\"\n{}", with(&places.replace('\n', ""))));
    let basic = format!("Basic {}", BASE64.encode(b"basic:"));
    let other = ("authorization", basic.as_str());
    let bearer = ("authorization", "Bearer bearer");
    let all = [("x-key", "header"), ("cookie", "k=cookie"), bearer];
    for (sent, query, expected) in [
        (&all[..], "key=query", "query"),
        (&all[..], "", "bearer"),
        (&all[..2], "", "cookie"),
        (&all[..1], "", "header"),
        (&[("x-key", "header"), other], "", "header"),
        (&[other], "", "basic"),
        // An empty or unreadable value is no credential.
        (&[("x-key", "header"), ("cookie", "k=")], "key=", "header"),
        (&[("x-key", "header"), ("authorization", "Digest a")], "", "header"),
        // Credentials in later places are ignored.
        (&[bearer, ("x-key", "a"), ("x-key", "b"), ("cookie", "k=a; k=b")], "", "bearer"),
        (&[bearer, ("authorization", "Bearer  bearer ")], "", "bearer"),
    ] {
        let headers = headers(sent);
        assert_eq!(dialect.credential(&headers, query), Ok(Some(expected.into())), "{sent:?} {query}");
    }
    let malformed = |sent: &[(&str, &str)], query: &str| {
        let read = dialect.credential(&headers(sent), query).map(|found| found.map(|text| text.into_owned()));
        assert!(matches!(read, Err(Reason::Malformed(_))), "{sent:?} {query}: {read:?}");
    };
    malformed(&[bearer], "key=one&key=two");
    malformed(&[bearer, ("authorization", "Bearer other"), ("x-key", "bearer")], "");
    malformed(&[("x-key", "a"), ("x-key", "b")], "");
    assert_eq!(dialect.credential(&headers(&[("authorization", "Digest a")]), ""), Err(Reason::Unknown));
    assert!(refused(&format!("conflict = \"last\"\n{}", with(places))).contains("expected `refuse` or `first`"));
}

#[test]
fn first_place_and_warnings_are_described() {
    for (places, first, warnings) in [
        (r#"{ header = "X-Acme-Token" }"#, "the X-Acme-Token header", 0),
        (r#"{ basic = "username" }, { header = "X-A" }"#, "the Authorization header", 0),
        (r#"{ query = "key" }, { cookie = "k" }"#, "the key parameter", 2),
    ] {
        let dialect = compiled(&with(places));
        assert_eq!((dialect.places.first(), dialect.places.warnings().len()), (first, warnings));
    }
    let warnings = compiled(&with(r#"{ query = "key" }"#)).places.warnings();
    assert!(warnings[0].contains("the parameter key") && warnings[0].contains("logs"), "{warnings:?}");
}

#[test]
fn invalid_and_ambiguous_places_are_refused() {
    let nine: Vec<String> = (0..9).map(|n| format!("{{ query = \"k{n}\" }}")).collect();
    for (places, why) in [
        ("", "1 to 8 places"),
        (&*nine.join(","), "1 to 8 places"),
        ("{}", "one of header, basic, cookie and query"),
        (r#"{ header = "X-A", cookie = "a" }"#, "one of header, basic, cookie and query"),
        (r#"{ query = "a", scheme = "A" }"#, "one of header, basic, cookie and query"),
        (r#"{ header = "X-A" }, { header = "x-a" }"#, "number 2: it cannot be told apart"),
        (r#"{ header = "Authorization" }, { header = "Authorization", scheme = "Bearer" }"#, "cannot be told apart"),
        (r#"{ header = "A", scheme = "Bearer" }, { header = "A", scheme = "bearer" }"#, "cannot be told apart"),
        (r#"{ basic = "username" }, { basic = "password" }"#, "cannot be told apart"),
        (r#"{ basic = "username" }, { header = "Authorization" }"#, "cannot be told apart"),
        (r#"{ query = "key" }, { query = "KEY" }"#, "cannot be told apart"),
        (r#"{ cookie = "key" }, { cookie = "key" }"#, "cannot be told apart"),
        (r#"{ header = "X A" }"#, "is not the name of a header"),
        (r#"{ header = "X-A\r\nX-B" }"#, "is not the name of a header"),
        (r#"{ header = "" }"#, "is not the name of a header"),
        (r#"{ header = "Cookie" }"#, "has another meaning"),
        (r#"{ header = "X-Forwarded-Uri" }"#, "has another meaning"),
        (r#"{ header = "Authorization", scheme = "Basic" }"#, "for Basic write"),
        (r#"{ header = "Authorization", scheme = "a b" }"#, "a scheme is one word"),
        (r#"{ cookie = "a b" }"#, "a name has letters"),
        (r#"{ query = "a&b" }"#, "a name has letters"),
        (r#"{ query = "" }"#, "a name has letters"),
        (r#"{ basic = "both" }"#, "expected `username` or `password`"),
        (r#"{ body = "a" }"#, "unknown field `body`"),
    ] {
        let why_not = refused(&with(places));
        assert!(why_not.contains(why) && why_not.starts_with("line 1"), "{places}: {why_not}");
    }
}
