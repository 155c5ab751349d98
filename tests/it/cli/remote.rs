//! Owns tests of the command line against a remote server: the same commands and output, by the management API alone.

use serde_json::{Value, json};

use crate::harness::Installation;

const ALL: &str = "grantd:keys:read grantd:keys:write grantd:projects:read grantd:projects:write grantd:clients:read \
    grantd:clients:write grantd:users:read grantd:users:write grantd:apis:read grantd:apis:write grantd:plans:read \
    grantd:plans:write grantd:usage:read grantd:audit:read read write";

/// A key created next to the database.
fn key(here: &Installation, email: &str, scopes: &str) -> String {
    let mut create = vec!["key", "create", "--user", email];
    for scope in scopes.split(' ').filter(|scope| !scope.is_empty()) {
        create.extend(["--scope", scope]);
    }
    here.json(&create)["key"].as_str().expect("a key").to_owned()
}

fn text<'v>(of: &'v Value, member: &str) -> &'v str {
    of[member].as_str().unwrap_or_else(|| panic!("no {member}: {of}"))
}

/// An installation on another machine: no database, no master key, only the server's address and a key.
fn afar(key: &str) -> Installation {
    let mut afar = Installation::new();
    for name in ["GRANTD_DATABASE_URL", "GRANTD_ISSUER", "GRANTD_MASTER_KEY"] {
        afar.unset(name);
    }
    afar.set("GRANTD_API_KEY", key);
    afar
}

#[tokio::test]
async fn every_api_command_works_on_a_remote_server() {
    let here = Installation::new();
    here.api();
    here.json(&["user", "create", "--email", "admin@example.com", "--admin"]);
    let server = here.serve().await;
    let afar = afar(&key(&here, "admin@example.com", ALL));
    let run = |command: &[&str]| afar.json(&[command, &["--server", &server.base]].concat());

    let user = run(&["user", "create", "--email", "bob@example.com", "--plan", "pro"]);
    assert!(text(&user, "id").starts_with("user_") && text(&user, "password").len() == 20);
    assert_eq!(run(&["user", "list"]), here.json(&["user", "list"]));
    assert_eq!(run(&["user", "disable", "--email", "bob@example.com"])["active"], false);
    run(&["user", "enable", "--email", "bob@example.com"]);

    let project = run(&["project", "create", "--user", "bob@example.com", "--name", "Harbor", "--key-form", "uuid"]);
    let id = text(&project, "id");
    run(&["project", "set", id, "--name", "Port", "--plan", "enterprise"]);
    run(&["project", "disable", id]);
    run(&["project", "enable", id]);
    assert_eq!(run(&["project", "list"]), here.json(&["project", "list", "--user", "bob@example.com"]));

    let create =
        ["key", "create", "--user", "bob@example.com", "--scope", "read", "--project", id, "--expires-in", "90d"];
    let made = run(&create);
    assert!(made["expires_at"].is_string(), "{made}");
    let told = server.get_as("/v1/users/me", text(&made, "key")).await;
    assert_eq!(told.status(200).text("id"), text(&user, "id"));
    let rotated = run(&["key", "rotate", text(&made, "id"), "--overlap", "1h"]);
    let again = run(&["key", "regenerate", text(&rotated, "id")]);
    assert_eq!(run(&["key", "revoke", text(&again, "id")])["status"], "revoked");
    let list = ["key", "list", "--user", "bob@example.com"];
    assert_eq!(run(&list), here.json(&list));

    let client = run(&["client", "create", "--name", "App", "--redirect-uri", "https://app.example.com/cb"]);
    assert_eq!(client["scopes"], json!(["read", "write"]));
    let id = text(&client, "id");
    run(&["client", "rotate-secret", id]);
    run(&["client", "disable", id]);
    run(&["client", "enable", id]);
    assert_eq!(run(&["client", "list"]), here.json(&["client", "list"]));
    run(&["client", "delete", id]);

    let create = [
        "api",
        "create",
        "--identifier",
        "https://orders.example.com",
        "--name",
        "Orders",
        "--scope",
        "orders=See orders",
    ];
    assert_eq!(text(&run(&create), "slug"), "orders");
    let rule = run(&["api", "add-route", "orders", "--method", "GET", "--path", "/v1/*", "--scope", "orders"]);
    assert_eq!(run(&["api", "routes"]), here.json(&["api", "routes"]));
    run(&["api", "remove-route", text(&rule, "id"), "--open"]);
    assert_eq!(run(&["api", "list"]), here.json(&["api", "list"]));

    run(&["plan", "set", "gold plan", "--per-hour", "5", "--burst", "2"]);
    assert_eq!(run(&["plan", "list"]), here.json(&["plan", "list"]));
    let audit = run(&["audit", "--limit", "250"]);
    let entries = audit["items"].as_array().expect("entries");
    assert!(entries.iter().any(|entry| entry["event"] == "plan.set" && text(entry, "actor").starts_with("user_")));
    // Tables work too.
    let table = afar.run(&["user", "list", "--server", &server.base]);
    assert!(table.status.success() && table.out.contains("bob@example.com"), "{table:?}");
}

#[tokio::test]
async fn keys_for_loopback_are_not_sent_to_a_proxy() {
    let here = Installation::new();
    here.api();
    here.json(&["user", "create", "--email", "admin@example.com", "--admin"]);
    let server = here.serve().await;
    let mut afar = afar(&key(&here, "admin@example.com", ALL));
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    proxy.set_nonblocking(true).expect("a listener that does not wait");
    let address = format!("http://{}", proxy.local_addr().expect("an address"));
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        afar.set(name, &address);
    }
    // The proxy would never answer; only what it receives matters.
    let child = afar.command(&["user", "list", "--json", "--server", &server.base]).output();
    let ran = child.expect("the command");
    assert!(proxy.accept().is_err(), "the proxy was asked");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test]
async fn ordinary_users_manage_their_own_things_and_see_errors() {
    // THREATS: AK16 AK6
    let here = Installation::new();
    here.api();
    here.user("alice@example.com");
    here.user("bob@example.com");
    let server = here.serve().await;
    let afar = afar(&key(&here, "alice@example.com", "grantd:keys:read grantd:keys:write read"));
    let base = server.base.as_str();
    let made = afar.json(&["key", "create", "--scope", "read", "--server", base]);
    assert_eq!(afar.json(&["key", "list", "--server", base])["items"].as_array().map(Vec::len), Some(2));
    let says = |command: &[&str], words: &str| {
        let error = afar.refused(&[command, &["--server", base]].concat());
        assert!(error.contains(words) && error.lines().count() == 1, "{command:?}: {error}");
    };
    says(&["key", "create", "--scope", "write"], "this credential does not have write");
    says(&["key", "create", "--scope", "read", "--user", "bob@example.com"], "only an administrator may set user");
    says(&["key", "list", "--user", "bob@example.com"], "there is no such user");
    says(&["key", "revoke", "key_x"], "there is no such key; `grantd key list");
    says(&["project", "list"], "the scope grantd:projects:read is required");
    says(&["user", "list"], "the scope grantd:users:read is required");
    for command in [
        &["backup", "x"][..],
        &["doctor"],
        &["serve"],
        &["demo"],
        &["config"],
        &["signing-key", "list"],
        &["token", "revoke"],
        &["user", "password", "--email", "bob@example.com"],
        &["key", "import", "keys.csv"],
        &["audit", "verify"],
    ] {
        says(command, "needs direct access to the database");
    }
    // With an expired key.
    here.json(&["key", "revoke", text(&made, "id")]);
    let mut other = Installation::new();
    other.set("GRANTD_API_KEY", text(&made, "key"));
    let error = other.refused(&["key", "list", "--server", base]);
    assert!(error.contains("the credential is not valid: check that GRANTD_API_KEY is an active key"), "{error}");
    assert!(!error.contains(text(&made, "key")));
}

#[test]
fn key_is_required_and_never_sent_unencrypted() {
    let mut here = Installation::new();
    assert!(here.refused(&["key", "list", "--server", "http://127.0.0.1:1"]).contains("set GRANTD_API_KEY"));
    here.set("GRANTD_API_KEY", "gd_live_secret");
    for (server, words) in [
        ("http://auth.example.com", "https, or http on loopback"),
        ("https://gd_live_x@auth.example.com", "a plain URL"),
        ("auth.example.com", "must be a URL"),
    ] {
        let error = here.refused(&["key", "list", "--server", server]);
        assert!(error.contains(words) && !error.contains("gd_live_secret"), "{error}");
    }
}

#[test]
fn openapi_document_is_printed() {
    let here = Installation::new();
    let ran = here.run(&["openapi"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!(document["servers"][0]["url"], here.variable("GRANTD_ISSUER"));
    assert!(document["paths"]["/api/v1/keys"]["post"].is_object());
}
