//! Owns tests of `grantd signing-key`, `token`, `audit`, `backup`, `config` and `--help`.

use clap::CommandFactory;
use grantd::{cli::Cli, config::DEFAULTS};
use serde_json::{Value, json};

use crate::harness::{Installation, prepare, process::now, wait};

#[test]
fn every_command_and_option_has_help() {
    fn check(command: &clap::Command) {
        assert!(command.get_about().is_some_and(|about| !about.to_string().is_empty()), "{}", command.get_name());
        for option in command.get_arguments() {
            assert!(option.get_help().is_some(), "{} {}", command.get_name(), option.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    Cli::command().debug_assert();
    check(&Cli::command());
}

#[tokio::test]
async fn help_and_configuration_show_no_secrets() {
    // THREATS: SR4
    let mut here = Installation::new();
    here.set("GRANTD_METRICS_TOKEN", "a-token-for-metrics");
    let master = here.variable("GRANTD_MASTER_KEY").to_owned();
    drop(here.store().await);
    for arguments in [&["--help"][..], &["serve", "--help"], &["help", "key", "create"], &["config"]] {
        let ran = here.run(arguments);
        assert!(ran.status.success(), "{ran:?}");
        let said = ran.out + ran.err.as_str();
        assert!(!said.contains(&master) && !said.contains("a-token-for-metrics"), "{said}");
    }
}

#[test]
fn printed_configuration_equals_the_defaults() {
    let here = Installation::new();
    assert_eq!(here.run(&["config"]).out, DEFAULTS);
    std::fs::write(here.path("grantd.toml"), DEFAULTS.replace("key_prefix = \"gd\"", "key_prefix = \"acme\""))
        .expect("written");
    here.api();
    here.user("alice@example.com");
    assert!(here.key("alice@example.com").1.starts_with("acme_live_"));
}

#[tokio::test]
async fn signing_keys_are_listed_published_and_dropped() {
    let here = Installation::new();
    let kids = |list: &Value| -> Vec<Value> {
        list["signing_keys"].as_array().expect("keys").iter().map(|key| key["kid"].clone()).collect()
    };
    drop(here.store().await);
    let first = here.json(&["signing-key", "list"]);
    let head: Vec<&String> = first["signing_keys"][0].as_object().expect("a key").keys().collect();
    assert_eq!(head, ["kid", "algorithm", "created_at", "active_from"]);
    let rotated = here.json(&["signing-key", "rotate"]);
    assert_eq!(rotated["signing_keys"].as_array().map(Vec::len), Some(2));
    assert!(kids(&rotated).contains(&kids(&first)[0]));
    let compromised = here.json(&["signing-key", "rotate", "--compromised"]);
    assert_eq!(compromised["signing_keys"].as_array().map(Vec::len), Some(1));
    assert!(!kids(&rotated).contains(&kids(&compromised)[0]));
    assert!(here.refused(&["signing-key", "rotate", "--algorithm", "none"]).contains("ES256, EdDSA or RS256"));
}

#[tokio::test]
async fn tokens_of_every_kind_are_revoked_from_standard_input() {
    let here = Installation::new();
    let (api, user) = (here.api(), here.user("alice@example.com"));
    let (_, key) = here.key("alice@example.com");
    let client = here.client(&["--redirect-uri", crate::harness::app::CALLBACK]);
    let code = prepare::code(&here.store().await, &here.grant_tokens(), now(), &user, &client.id).await;
    let server = here.serve().await;
    let exchanged = server.try_exchange(&client, &code).await.expect("a reply");
    let (access, refresh) = (exchanged.text("access_token"), exchanged.text("refresh_token"));
    let revoke = |token: &str| here.json_with(&["token", "revoke"], token);
    assert_eq!(revoke(&access), json!({ "revoked": "access_token" }));
    assert_eq!(revoke(&key), json!({ "revoked": "api_key" }));
    // The running server may not have seen the revocation yet; the refresh token works until it is revoked too.
    let refreshed = server.try_refresh(&client, &refresh).await.expect("a reply");
    assert_eq!(revoke(&format!("{}\n", refreshed.text("refresh_token"))), json!({ "revoked": "grant" }));
    server.try_refresh(&client, &refreshed.text("refresh_token")).await.expect("a reply").oauth_error("invalid_grant");
    for credential in [&access, &key] {
        let answer = async || server.introspect(&api, credential).await;
        wait::until("the server's look", async || answer().await.body.contains("false").then_some(())).await;
        answer().await.inactive();
    }
    let wrong = here.run_with(&["token", "revoke"], "garbage");
    assert!(!wrong.status.success() && wrong.err.contains("pass it on standard input"), "{wrong:?}");
}

#[test]
fn audit_log_names_actor_and_object_without_secrets() {
    let here = Installation::new();
    let api = here.api();
    here.user("alice@example.com");
    let (id, key) = here.key("alice@example.com");
    here.json(&["key", "revoke", &id]);
    let log = here.json(&["audit"]);
    let newest = &log["items"][0];
    let head: Vec<&String> = newest.as_object().expect("an entry").keys().collect();
    let members = ["at", "event", "outcome", "actor", "user", "client", "object", "reason", "address", "request_id"];
    assert_eq!(head, [&members[..], &["times"]].concat());
    assert_eq!((&newest["event"], &newest["actor"]), (&json!("key.revoke"), &json!("cli")));
    assert_eq!(newest["object"], id);
    for secret in [key.as_str(), api.secret.as_deref().expect("a secret"), "correct horse"] {
        assert!(!log.to_string().contains(secret));
    }
    assert_eq!(here.json(&["audit", "--limit", "1"])["items"].as_array().map(Vec::len), Some(1));
    assert!(here.refused(&["audit", "--limit", "0"]).contains("1..=10000"));
}

#[tokio::test]
async fn backup_of_a_running_server_is_complete() {
    let mut here = Installation::new();
    let api = here.api();
    here.user("alice@example.com");
    let (_, key) = here.key("alice@example.com");
    let server = here.serve().await;
    let copy = here.path("copy.db");
    let made = here.json(&["backup", &copy.display().to_string()]);
    assert_eq!(made["backup"], json!(copy.display().to_string()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.metadata().expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(here.refused(&["backup", &copy.display().to_string()]).contains("already exists"));
    server.kill();
    here.set("GRANTD_DATABASE_URL", format!("sqlite:{}", copy.display()));
    let restored = here.serve().await;
    restored.introspect(&api, &key).await.active();
}

#[test]
fn mistyped_commands_get_hints() {
    let here = Installation::new();
    assert!(here.refused(&["user", "creat"]).contains("a similar subcommand exists: 'create'"));
    assert!(
        here.refused(&["user", "create", "--emial", "a@example.com"]).contains("a similar argument exists: '--email'")
    );
}
