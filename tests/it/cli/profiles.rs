//! Owns tests of `grantd profile` with the real binary.

use std::fs;

use serde_json::{Value, json};

use crate::harness::Installation;

const ACME: &str = "# Keys of Acme.\nplaces = [{ header = \"X-Acme-Token\" }]\nbody = '{\"acme\":\"{code}\"}'\n";

fn write(here: &Installation, name: &str, text: &[u8]) -> String {
    let path = here.path(name);
    fs::write(&path, text).expect("written");
    path.to_str().expect("a path").to_owned()
}

#[test]
fn profiles_are_exported_edited_imported_and_removed() {
    let here = Installation::new();
    here.api();
    let names = || -> Vec<Value> {
        let listed = here.json(&["profile", "list"]);
        listed["items"].as_array().expect("profiles").iter().map(|profile| profile["name"].clone()).collect()
    };
    assert!(names().contains(&json!("stripe-like")) && names().len() == 10);
    let bearer = here.run(&["profile", "export", "bearer"]).out;
    let file = write(&here, "own.toml", bearer.as_bytes());
    assert_eq!(here.json(&["profile", "import", &file])["revision"], 1);
    assert_eq!(here.run(&["profile", "export", "own"]).out, bearer, "the same text, with its comments");
    let file = write(&here, "acme.toml", ACME.as_bytes());
    let imported = here.json(&["profile", "import", &file, "--name", "own"]);
    assert_eq!(
        (&imported["name"], &imported["revision"], &imported["definition"]),
        (&"own".into(), &2.into(), &ACME.into())
    );
    here.json(&["profile", "set", "own", "refusals.missing.status=403", "docs_url=https://docs.acme.example"]);
    let shown = here.json(&["profile", "show", "own"]);
    let definition: toml::Table = shown["definition"].as_str().expect("a text").parse().expect("TOML");
    assert_eq!(definition["refusals"]["missing"]["status"].as_integer(), Some(403));
    assert_eq!(definition["docs_url"].as_str(), Some("https://docs.acme.example"));
    here.json(&["profile", "set", "own", "refusals="]);
    let identifier = "https://second.example.com";
    let create = ["api", "create", "--identifier", identifier, "--name", "Second", "--profile"];
    assert!(here.refused(&[&create[..], &["none"]].concat()).contains("profile"));
    assert_eq!(here.json(&[&create[..], &["own"]].concat())["profile"], "own");
    assert!(here.refused(&["profile", "remove", "own"]).contains("second"), "an API uses it");
    here.json(&["profile", "use", "xml", "--api", "second"]);
    here.json(&["profile", "remove", "own"]);
    assert!(!names().contains(&json!("own")));
    assert!(here.refused(&["profile", "remove", "xml"]).contains("shipped profiles cannot be changed"));
    assert!(here.refused(&["profile", "set", "xml", "docs_url=a"]).contains("copy it and change the copy"));
}

#[test]
fn invalid_files_and_settings_change_nothing() {
    // THREATS: HX5
    let here = Installation::new();
    here.api();
    let acme = write(&here, "acme.toml", ACME.as_bytes());
    here.json(&["profile", "import", &acme]);
    let before = here.run(&["profile", "export", "acme"]).out;
    let large = "a".repeat(10 << 20);
    let cases: [(&[u8], &str); 5] = [
        (b"not TOML", "line 1"),
        (&[0xff, 0xfe, 0x00], "UTF-8"),
        (large.as_bytes(), "at most 16 KB"),
        (b"places = [{ header = \"X-A\" }]\nbody = '{'", "line 2, body: "),
        (b"places = [{ header = \"X-A\" }, { header = \"X-A\" }]\nbody = '{}'", "cannot be told apart"),
    ];
    for (text, why) in cases {
        let file = write(&here, "wrong.toml", text);
        for name in ["acme", "other"] {
            let said = here.refused(&["profile", "import", &file, "--name", name]);
            assert!(said.contains(why), "{why}: {said}");
        }
    }
    for (setting, why) in [
        ("refusals.missing.status=200", "200 is not a refusal"),
        ("refusals.missing", "NAME=VALUE"),
        ("refusals.missing.status=", "no such setting"),
        ("body.text=a", "not a table"),
        ("places=[]", "1 to 8 places"),
    ] {
        let said = here.refused(&["profile", "set", "acme", setting]);
        assert!(said.contains(why), "{setting}: {said}");
    }
    assert_eq!(here.run(&["profile", "export", "acme"]).out, before);
    here.refused(&["profile", "show", "other"]);
}

#[test]
fn a_request_is_tested_with_a_profile_from_a_file() {
    let here = Installation::new();
    here.api();
    here.user("alice@example.com");
    let (_, key) = here.key("alice@example.com");
    let acme = write(&here, "acme.toml", ACME.as_bytes());
    let test = ["profile", "test", "--api", "example-api", "--request", "GET /v1/x", "--file", &acme];
    let header = format!("X-Acme-Token: {key}");
    let allowed = here.json(&[&test[..], &["--header", &header]].concat());
    assert_eq!((&allowed["passes"], &allowed["status"]), (&json!(true), &json!(200)), "{allowed}");
    let refused = here.json(&test);
    assert_eq!((&refused["status"], &refused["body"]), (&json!(401), &json!("{\"acme\":\"missing_api_key\"}")));
    let shown = here.run(&[&test[..], &["--header", &header]].concat()).out;
    assert!(shown.starts_with("The request is allowed. Headers for the API:\nx-auth-"), "{shown}");
    assert!(here.refused(&[&test[..], &["--header", "no colon"]].concat()).contains("NAME: VALUE"));
    // It is only tested: the API keeps its profile.
    assert_eq!(here.json(&["profile", "show", "bearer"])["apis"], json!(["example-api"]));
}
