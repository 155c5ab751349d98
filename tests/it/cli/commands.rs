//! Owns tests of `grantd user`, `api`, `client` and `key`: the members of `--json`, and errors for invalid values.

use grantd::model::secret::random_base62;
use serde_json::{Value, json};

use crate::harness::{Installation, wait};

#[track_caller]
fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

#[track_caller]
fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}"))
}

/// Asserts that a command fails with this text, on one line that begins with the program's name.
#[track_caller]
fn says(installation: &Installation, arguments: &[&str], words: &str) {
    let error = installation.refused(arguments);
    assert!(error.contains(words), "{arguments:?} says {error:?}, not {words:?}");
    assert!(error.starts_with("grantd: ") || error.starts_with("error: "), "{error}");
}

#[test]
fn users_are_created_with_a_random_password() {
    // THREATS: SR5
    let here = Installation::new();
    let made = here.json(&["user", "create", "--email", "Alice@Example.com"]);
    assert_eq!(members(&made), ["id", "email", "name", "plan", "admin", "active", "password"]);
    assert_eq!(text(&made, "email"), "alice@example.com");
    assert!(text(&made, "password").len() >= 20);
    let other =
        here.json(&["user", "create", "--email", "bob@example.com", "--name", "Bob", "--plan", "pro", "--admin"]);
    assert_ne!(text(&made, "password"), text(&other, "password"));
    let given = ["user", "create", "--email", "carol@example.com", "--password-stdin"];
    assert!(here.json_with(&given, "correct horse battery\n").get("password").is_none());
    let list = here.json(&["user", "list"]);
    let rows: Vec<Vec<Value>> = list["items"]
        .as_array()
        .expect("users")
        .iter()
        .map(|row| row.as_object().expect("a row").values().cloned().collect())
        .collect();
    assert_eq!(members(&list["items"][0]), ["id", "email", "name", "plan", "admin", "active"]);
    assert_eq!(rows[0][1..], [json!("alice@example.com"), json!("alice"), json!("free"), json!(false), json!(true)]);
    assert_eq!(rows[1][1..], [json!("bob@example.com"), json!("Bob"), json!("pro"), json!(true), json!(true)]);
}

#[test]
fn users_are_disabled_enabled_and_get_a_new_password() {
    let here = Installation::new();
    let id = here.user("alice@example.com");
    let named = ["--email", "alice@example.com"];
    let told = here.json(&[&["user", "disable"], &named[..]].concat());
    assert_eq!((&told["id"], &told["active"]), (&json!(id), &json!(false)));
    assert_eq!(here.json(&["user", "list"])["items"][0]["active"], false);
    assert_eq!(here.json(&[&["user", "enable"], &named[..]].concat())["active"], true);
    assert_eq!(members(&here.json(&[&["user", "password"], &named[..]].concat())), ["id", "password"]);
    let given =
        here.json_with(&[&["user", "password", "--password-stdin"], &named[..]].concat(), "correct horse battery");
    assert_eq!(members(&given), ["id"]);
}

#[test]
fn invalid_users_are_refused_with_a_remedy() {
    let here = Installation::new();
    here.user("alice@example.com");
    says(&here, &["user", "create", "--email", "alice@example.com"], "a user with this email address already exists");
    says(&here, &["user", "create", "--email", "nobody"], "address");
    says(&here, &["user", "create", "--email", "b@example.com", "--name", ""], "the name");
    says(&here, &["user", "create"], "--email");
    says(&here, &["user", "disable", "--email", "b@example.com"], "`grantd user list`");
    let short = here.run_with(&["user", "create", "--email", "b@example.com", "--password-stdin"], "short");
    assert!(!short.status.success() && short.err.contains("password"), "{short:?}");
    assert_eq!(here.json(&["user", "list"])["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn apis_are_created_with_credentials_of_their_resource_server() {
    let here = Installation::new();
    let create =
        ["api", "create", "--identifier", "https://api.example.com", "--name", "My API", "--scope", "read=Read it"];
    let made = here.json(&create);
    let api = ["id", "slug", "identifier", "name", "profile", "algorithm", "access_token_seconds"];
    let api = [&api[..], &["counts_introspection", "client_id", "scopes"]].concat();
    assert_eq!(members(&made), [&api[..], &["client_secret"]].concat());
    assert_eq!(text(&made, "slug"), "my-api");
    assert!(text(&made, "client_secret").starts_with("gd_secret_"));
    let list = here.json(&["api", "list"]);
    assert_eq!(members(&list["items"][0]), api);
    assert_eq!(list["items"][0]["scopes"], json!([{ "name": "read", "description": "Read it" }]));
    let other = ["api", "create", "--identifier", "https://b.example.com", "--name", "B"];
    says(&here, &create, "an API with this identifier or slug already exists");
    says(&here, &["api", "create", "--identifier", "nowhere", "--name", "B"], "identifier must be an absolute URI");
    says(&here, &[&other[..], &["--scope", "all=All"]].concat(), "must not be \"all\"");
    says(&here, &[&other[..], &["--scope", "a b=C"]].concat(), "must not be \"all\"");
    says(&here, &[&other[..], &["--slug", "!"]].concat(), "slug must have 1 to 60");
    says(&here, &[&other[..], &["--algorithm", "HS256"]].concat(), "ES256, EdDSA or RS256");
    says(
        &here,
        &[&other[..], &["--profile", "x"]].concat(),
        "there is no such profile; `grantd profile list` lists them",
    );
    says(&here, &[&other[..], &["--access-token-seconds", "1"]].concat(), "10..=86400");
    // A scope belongs to one API, and a refused command changes nothing.
    assert!(!here.run(&[&other[..], &["--scope", "read=Again"]].concat()).status.success());
    assert_eq!(here.json(&["api", "list"])["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(here.json(&["client", "list"])["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn clients_are_created_listed_and_deleted() {
    let here = Installation::new();
    here.api();
    let create = ["client", "create", "--name", "App", "--redirect-uri", "https://app.example.com/cb"];
    let made = here.json(&create);
    assert!(text(&made, "client_secret").starts_with("gd_secret_"));
    assert_eq!(made["scopes"], json!(["read", "write"]));
    let public = here.json(&[&create[..], &["--type", "public", "--scope", "read"]].concat());
    assert_eq!(public["client_secret"], Value::Null);
    let list = here.json(&["client", "list"]);
    let row = list["items"].as_array().expect("clients").iter().find(|row| row["id"] == public["id"]);
    let row = row.expect("the public client");
    assert_eq!((text(row, "type"), &row["scopes"]), ("public", &json!(["read"])));
    let id = text(&made, "id");
    let rotated = here.json(&["client", "rotate-secret", id, "--overlap", "1h"]);
    assert!(rotated["others_end_at"].is_string(), "{rotated}");
    assert_ne!(rotated["client_secret"], made["client_secret"]);
    assert_eq!(here.json(&["client", "disable", id])["active"], false);
    assert_eq!(here.json(&["client", "enable", id])["active"], true);
    assert_eq!(here.json(&["client", "delete", id]), json!({ "id": id, "deleted": true }));
    says(&here, &["client", "delete", id], "`grantd client list`");
}

#[test]
fn invalid_clients_are_refused_with_a_remedy() {
    let here = Installation::new();
    let api = here.api();
    let create = ["client", "create", "--name", "App", "--redirect-uri", "https://app.example.com/cb"];
    says(&here, &create[..4], "the authorization code grant requires 1 to 20 redirect URIs");
    says(&here, &[&create[..4], &["--redirect-uri", "http://app.example.com/"]].concat(), "https");
    says(&here, &[&create[..4], &["--redirect-uri", "https://*.example.com/"]].concat(), "redirect");
    says(&here, &[&create[..], &["--scope", "admin"]].concat(), "there is no such scope; available scopes: read write");
    says(&here, &[&create[..], &["--type", "secret"]].concat(), "possible values: public, confidential");
    says(&here, &[&create[..], &["--grant-type", "password"]].concat(), "possible values: authorization_code");
    says(&here, &[&create[..], &["--type", "public", "--without-pkce"]].concat(), "a public client must use PKCE");
    let machine = [&create[..], &["--type", "public", "--grant-type", "client_credentials"]].concat();
    says(&here, &machine, "cannot use client_credentials");
    says(&here, &[&create[..], &["--auth-method", "none"]].concat(), "a confidential one another method");
    says(&here, &[&create[..], &["--refresh-grace", "61"]].concat(), "0..=60");
    says(&here, &["client", "rotate-secret", "client_x"], "`grantd client list`");
    // The client of an API cannot be deleted, since nothing could introspect then.
    says(&here, &["client", "delete", &api.id], "(or it is an API's own)");
}

#[test]
fn keys_are_shown_once_listed_rotated_and_revoked() {
    let here = Installation::new();
    here.api();
    here.user("alice@example.com");
    let create = ["key", "create", "--user", "alice@example.com", "--scope", "read"];
    let made = here.json(&create);
    let key = ["id", "user", "name", "hint", "scopes", "environment", "form", "status", "project", "plan", "networks"];
    let times = ["created_at", "expires_at", "revoked_at", "last_used_at", "last_address", "last_agent"];
    let shown = [&key[..], &times].concat();
    assert_eq!(members(&made), [&shown[..], &["key"]].concat());
    assert!(text(&made, "key").starts_with("gd_live_"));
    let test =
        here.json(&[&create[..], &["--scope", "write", "--environment", "test", "--expires-in", "90d"]].concat());
    assert!(test["expires_at"].is_string(), "{test}");
    assert!(text(&test, "key").starts_with("gd_test_"));
    let all = here.json(&["key", "create", "--user", "alice@example.com", "--scope", "all"]);
    assert_eq!(all["scopes"], json!(["read", "write"]));
    let list = here.json(&["key", "list", "--user", "alice@example.com"]);
    assert_eq!(members(&list["items"][0]), shown);
    assert!(!list.to_string().contains(text(&made, "key")));
    let id = text(&made, "id");
    let rotated = here.json(&["key", "rotate", id, "--overlap", "1h"]);
    assert!(rotated["old_ends_at"].is_string() && rotated["replaces"] == id, "{rotated}");
    assert_eq!(here.json(&["key", "revoke", id])["status"], "revoked");
    let list = here.json(&["key", "list", "--user", "alice@example.com"]);
    let status = |id: &str| {
        list["items"].as_array().expect("keys").iter().find(|row| row["id"] == id).expect("a key")["status"].clone()
    };
    assert_eq!((status(id), status(text(&rotated, "id"))), (json!("revoked"), json!("active")));
    says(&here, &["key", "rotate", id], "this key has expired or was revoked");
}

#[test]
fn keys_are_for_the_first_environment_by_default() {
    let mut here = Installation::new();
    here.set("GRANTD_ENVIRONMENTS", "production,staging");
    here.api();
    here.user("alice@example.com");
    assert!(here.key("alice@example.com").1.starts_with("gd_production_"));
    let rows = format!("key,owner,scopes\n{},alice@example.com,read\n", random_base62(32));
    std::fs::write(here.path("keys.csv"), rows).expect("a file");
    assert_eq!(here.json(&["key", "import", "keys.csv"])["imported"], 1);
}

#[test]
fn invalid_keys_are_refused_with_a_remedy() {
    let here = Installation::new();
    here.api();
    here.user("alice@example.com");
    let create = ["key", "create", "--user", "alice@example.com", "--scope", "read"];
    says(&here, &create[..4], "at least one scope is required; available scopes: read write");
    says(&here, &[&create[..], &["--scope", "admin"]].concat(), "there is no such scope; available scopes: read write");
    says(&here, &[&create[..], &["--environment", "prod"]].concat(), "environment must be one of: live, test");
    for span in ["soon", "90", "", "9y", "-1d", "90é", "99999999999999999999d"] {
        says(
            &here,
            &[&create[..], &[&format!("--expires-in={span}")]].concat(),
            "a duration must be a number followed by s, m, h or d",
        );
    }
    says(&here, &[&create[..], &["--expires-in", "4000d"]].concat(), "ten years");
    says(&here, &["key", "create", "--user", "bob@example.com", "--scope", "read"], "`grantd user list`");
    says(&here, &["key", "revoke", "key_x"], "`grantd key list --user EMAIL`");
    says(&here, &["key", "rotate", "key_x"], "`grantd key list --user EMAIL`");
}

#[tokio::test]
async fn project_disabled_by_the_command_line_stops_its_keys() {
    // THREATS: AK9
    let here = Installation::new();
    let api = here.api();
    here.user("alice@example.com");
    let of = ["--user", "alice@example.com"];
    let project = here.json(&[&["project", "create", "--name", "Harbor"], &of[..]].concat());
    let id = text(&project, "id");
    let create = [&["key", "create", "--scope", "read", "--project", id], &of[..]].concat();
    let made = here.json(&create);
    let server = here.serve().await;
    server.introspect(&api, text(&made, "key")).await.active();
    here.json(&["project", "disable", id]);
    let answer = async || server.introspect(&api, text(&made, "key")).await.body;
    wait::until("the end of the key", async || (answer().await == r#"{"active":false}"#).then_some(())).await;
    says(&here, &create, "the project is disabled");
}
