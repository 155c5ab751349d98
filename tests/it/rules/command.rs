//! Owns `grantd api routes import`, `export` and `test`: a diff before it is applied, and nothing changed by what is refused.

use std::fs;

use insta::{Settings, assert_snapshot};
use serde_json::json;

use crate::harness::Installation;

const DOCUMENT: &str = r"openapi: 3.1.0
servers: [{ url: https://api.example.com/v1 }]
paths:
  /things:
    get: { security: [{ oauth: [read] }] }
    post: { security: [{ oauth: [write] }] }
  /things/{id}:
    delete: { security: [{ oauth: [things:delete] }] }
  /status:
    get: { security: [] }
  /version:
    get: {}
components:
  securitySchemes:
    oauth:
      type: oauth2
      flows: { clientCredentials: { tokenUrl: https://auth.example.com, scopes: { things:delete: Delete things } } }
";

#[test]
fn a_document_is_shown_as_a_diff_and_then_applied() {
    // THREATS: FA5
    let here = Installation::new();
    here.api();
    fs::write(here.path("openapi.yaml"), DOCUMENT).expect("written");
    for (method, path, scope) in
        [("GET", "/v1/things", "write"), ("*", "/old/*", "read"), ("POST", "/v1/things", "write")]
    {
        here.json(&["api", "add-route", "example-api", "--method", method, "--path", path, "--scope", scope]);
    }
    let rules = || here.run(&["api", "routes", "export"]).out;
    let before = rules();
    let import = ["api", "routes", "import", "openapi.yaml"];
    let said = here.refused(&import);
    assert!(
        said.contains("openapi.yaml: the API has no such scopes: things:delete (line 8); --create-scopes"),
        "{said}"
    );
    let import = [&import[..], &["--create-scopes"]].concat();
    let shown = here.run(&import);
    assert!(shown.status.success(), "{shown:?}");
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("../snapshots");
    settings.set_omit_expression(true);
    settings.bind(|| assert_snapshot!("rules_diff", format!("{}---\n{}", shown.out, shown.err)));
    assert_eq!(rules(), before);
    let applied = here.json(&[&import[..], &["--apply"]].concat());
    assert_eq!((&applied["dry_run"], &applied["added"], &applied["removed"]), (&json!(false), &json!(3), &json!(1)));
    let scopes = here.json(&["api", "list"])["items"][0]["scopes"].clone();
    assert!(
        scopes
            .as_array()
            .expect("scopes")
            .contains(&json!({ "name": "things:delete", "description": "Delete things" }))
    );

    // What is exported is imported without a change, by either name of the command.
    fs::write(here.path("rules.yaml"), rules()).expect("written");
    let same = here.json(&["api", "rules", "import", "rules.yaml", "--apply", "--api", "example-api"]);
    assert_eq!((&same["unchanged"], &same["changes"]), (&json!(5), &json!([])));
    fs::write(here.path("rules.json"), here.json(&["api", "routes", "export"]).to_string()).expect("written");
    assert_eq!(here.json(&["api", "routes", "import", "rules.json"])["unchanged"], 5);
    let tested = here.run(&["api", "routes", "test", "--request", "DELETE /v1/things/7"]);
    assert!(tested.out.contains("things:delete") && tested.out.contains("DELETE /v1/things/{id}"), "{tested:?}");
    assert_eq!(here.json(&["api", "routes", "test", "--request", "/v1/status"])["decision"], "public");
}

#[test]
fn what_is_refused_changes_nothing() {
    // THREATS: HX5 HX9
    let here = Installation::new();
    here.api();
    here.json(&["api", "add-route", "example-api", "--path", "/a", "--scope", "read"]);
    let rules = || here.json(&["api", "routes", "export"]);
    let before = rules();
    for (text, words) in [
        (b"\xff\xfe".to_vec(), "the file is not UTF-8"),
        (b"\0\x01garbage: [".to_vec(), "line 1"),
        (vec![b' '; 10_000_000], "the file is larger than 8 MiB"),
        (b"openapi: 3.0.0\na: &a [*a]\n".to_vec(), "line 2"),
        (
            b"openapi: 3.0.0\npaths:\n  /{a}: { get: {} }\n  /{b}: { get: {} }\n".to_vec(),
            "line 4: GET /{b} is the same",
        ),
        (b"rules:\n- path: /a\n- path: a b\n".to_vec(), "line 3: a b: path must be like"),
        (b"rules: []\n".to_vec(), "without them every credential"),
    ] {
        fs::write(here.path("file"), text).expect("written");
        let said = here.refused(&["api", "routes", "import", "file", "--apply", "--create-scopes"]);
        assert!(said.contains(words), "{said} is not {words}");
        assert_eq!(rules(), before);
    }
    assert!(here.refused(&["api", "routes", "import", "nowhere"]).contains("nowhere: cannot be read"));
    assert!(here.refused(&["api", "routes", "test", "--request", "GET"]).contains("a method and a path"));
    here.json(&["api", "create", "--identifier", "https://b.example.com", "--name", "B"]);
    assert!(here.refused(&["api", "routes", "export"]).contains("--api SLUG"));
    assert!(here.refused(&["api", "routes", "export", "--api", "nobody"]).contains("there is no such API"));
}
