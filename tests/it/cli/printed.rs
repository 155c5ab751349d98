//! Owns tests of what commands print: lines for other programs, notes for empty lists, errors for scripts.

use std::process::Command;

use serde_json::Value;

use crate::harness::Installation;

/// An installation with one thing of each kind, and the commands that list them.
fn filled() -> (Installation, Vec<Vec<&'static str>>) {
    let here = Installation::new();
    here.api();
    here.user("alice@example.com");
    here.key("alice@example.com");
    here.json(&["project", "create", "--user", "alice@example.com", "--name", "Harbor"]);
    here.json(&["client", "create", "--name", "App", "--redirect-uri", "https://app.example.com/cb"]);
    here.json(&["api", "add-route", "example-api", "--path", "/v1/*", "--scope", "read"]);
    let lists = [
        "user list",
        "api list",
        "api routes",
        "client list",
        "key list",
        "project list",
        "plan list",
        "audit",
        "signing-key list",
    ];
    (here, lists.map(|list| list.split(' ').collect()).to_vec())
}

/// The number of records in a list's JSON.
fn records(here: &Installation, list: &[&str]) -> usize {
    let told = here.json(list);
    let items = told["items"].as_array().or_else(|| told["signing_keys"].as_array());
    items.unwrap_or_else(|| panic!("no items: {told}")).len()
}

#[test]
fn piped_lists_are_tab_separated_records() {
    let (here, lists) = filled();
    for list in lists {
        let ran = here.run(&list);
        assert!(ran.status.success() && ran.err.is_empty(), "{list:?}: {ran:?}");
        let lines: Vec<&str> = ran.out.lines().collect();
        assert_eq!(lines.len(), records(&here, &list), "{list:?}: {}", ran.out);
        let columns = lines[0].split('\t').count();
        assert!(columns > 2 && lines.iter().all(|line| line.split('\t').count() == columns), "{list:?}: {}", ran.out);
        assert!(!ran.out.contains(['\u{2500}', '\u{2502}', '\u{2506}', '|', '+']), "{list:?}: {}", ran.out);
    }
    let one = here.run(&["plan", "set", "tiny", "--burst", "1"]);
    assert!(one.out.contains("tiny\tunlimited\t1\n"), "{one:?}");
}

#[test]
fn empty_lists_print_nothing_but_a_note() {
    let here = Installation::new();
    here.user("alice@example.com");
    for (list, words) in [
        (&["api", "list"][..], "no APIs\n"),
        (&["api", "routes"], "no routes\n"),
        (&["client", "list"], "no clients\n"),
        (&["key", "list"], "no keys\n"),
        (&["project", "list"], "no projects\n"),
    ] {
        let ran = here.run(list);
        assert!(ran.status.success(), "{ran:?}");
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", words));
        assert_eq!(here.json(list), serde_json::json!({ "items": [], "next": null }));
    }
}

#[test]
fn tables_fit_the_terminal() {
    let (here, _) = filled();
    let scopes: Vec<&str> = std::iter::repeat_n(["--scope", "read", "--scope", "write"], 1).flatten().collect();
    here.json(&[&["key", "create", "--user", "alice@example.com", "--name", &"W".repeat(90)], &scopes[..]].concat());
    // `script` gives a program a terminal; `stty` sets its width.
    let grantd = here.command(&[]).get_program().to_string_lossy().into_owned();
    let mut shell = Command::new("script");
    shell.args(["-qec", &format!("stty cols 80; {grantd} key list; {grantd} user list"), "/dev/null"]);
    shell.envs(here.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(here.path(""));
    let ran = shell.output().expect("script, of util-linux");
    let out = String::from_utf8_lossy(&ran.stdout).replace('\r', "");
    assert!(ran.status.success() && out.starts_with(" ID ") && out.contains("alice@example.com"), "{out}");
    for key in here.json(&["key", "list"])["items"].as_array().expect("keys") {
        assert!(out.contains(key["id"].as_str().expect("an id")), "an id stands whole: {out}");
    }
    for line in out.lines() {
        assert!(line.chars().count() <= 80 && !line.ends_with(' '), "{line:?}");
    }
    assert!(!out.contains('\u{2502}'), "{out}");
}

#[test]
fn lists_of_all_keys_name_their_owners() {
    let (here, _) = filled();
    let id = here.json(&["user", "list"])["items"][0]["id"].as_str().expect("an id").to_owned();
    assert!(here.run(&["key", "list"]).out.contains(&id));
    assert!(!here.run(&["key", "list", "--user", "alice@example.com"]).out.contains(&id), "it was said already");
}

#[test]
fn rules_of_one_api_are_listed_by_its_slug() {
    let (here, _) = filled();
    let create = ["api", "create", "--identifier", "https://b.example.com", "--name", "B"];
    here.json(&create);
    here.json(&["api", "add-route", "b", "--path", "/open", "--public"]);
    let paths = |arguments: &[&str]| -> Vec<Value> {
        let told = here.json(arguments);
        told["items"].as_array().expect("items").iter().map(|rule| rule["path"].clone()).collect()
    };
    assert_eq!(paths(&["api", "routes", "b"]), ["/open"]);
    assert_eq!(paths(&["api", "routes", "example-api"]), ["/v1/*"]);
    assert_eq!(paths(&["api", "routes"]).len(), 2);
    assert!(here.refused(&["api", "routes", "nothing"]).contains("`grantd api list`"));
}

#[test]
fn errors_for_scripts_are_json() {
    let here = Installation::new();
    here.user("alice@example.com");
    let ran = here.run(&["key", "revoke", "key_x", "--json"]);
    assert!(!ran.status.success() && ran.out.is_empty(), "{ran:?}");
    let told: Value = serde_json::from_str(&ran.err).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!(told["error"], "invalid_request");
    assert!(told["detail"].as_str().is_some_and(|words| words.contains("there is no such key")), "{told}");
}
