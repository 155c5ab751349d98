//! Owns tests of gateway rules by the command line: their order, and that the last is not removed by accident.

use crate::harness::Installation;

#[test]
fn rules_keep_their_order_and_the_last_is_removed_only_on_purpose() {
    // THREATS: FA5
    let here = Installation::new();
    here.api();
    let add = |path: &str, place: &[&str]| {
        let rule = ["api", "add-route", "example-api", "--scope", "read", "--path", path];
        here.json(&[&rule[..], place].concat())["id"].as_str().expect("an id").to_owned()
    };
    let paths = || {
        let listed = here.json(&["api", "routes"]);
        let rules = listed["items"].as_array().expect("rules").clone();
        rules.iter().map(|rule| rule["path"].as_str().expect("a path").to_owned()).collect::<Vec<_>>()
    };
    let third = add("/c", &["--first"]);
    let fourth = add("/d", &[]);
    let first = add("/a", &["--first"]);
    let second = add("/b", &["--before", &third]);
    assert_eq!(paths(), ["/a", "/b", "/c", "/d"]);
    here.refused(&["api", "add-route", "example-api", "--path", "/x", "--before", "route_nowhere"]);
    here.refused(&["api", "add-route", "example-api", "--path", "/x", "--first", "--before", &third]);
    for id in [&first, &second, &fourth] {
        here.json(&["api", "remove-route", id]);
    }
    let said = here.refused(&["api", "remove-route", &third]);
    assert!(said.contains("last rule"), "{said}");
    assert_eq!(paths(), ["/c"]);
    here.json(&["api", "remove-route", &third, "--open"]);
    assert!(paths().is_empty());
}
