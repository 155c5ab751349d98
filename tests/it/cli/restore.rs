//! Owns restoring a backup, as `docs/operate.md` says: nothing that was revoked since is accepted again.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Installation, app::CALLBACK, database::Database, prepare, process::now, wait};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_after_a_backup_is_refused_after_its_restore() {
    // THREATS: ST8
    let database = Database::sqlite();
    let here = Installation::on(database.same());
    let (api, user) = (here.api(), here.user("alice@example.com"));
    let [(leaked, leaked_key), (_, key)] = [here.key("alice@example.com"), here.key("alice@example.com")];
    let client = here.client(&["--redirect-uri", CALLBACK]);
    let store = here.store().await;
    let code = prepare::code(&store, &here.grant_tokens(), now(), &user, &client.id).await;
    drop(store);
    let server = here.serve().await;
    let exchanged = server.try_exchange(&client, &code).await.expect("a reply");
    let (access, refresh) = (exchanged.text("access_token"), exchanged.text("refresh_token"));
    let copy = here.path("backup.db");
    here.json(&["backup", &copy.display().to_string()]);
    here.json(&["key", "revoke", &leaked]);
    here.json_with(&["token", "revoke"], &refresh);
    let log = here.run(&["audit", "export"]).out;
    server.stop();
    let file = here.variable("GRANTD_DATABASE_URL").replace("sqlite:", "");
    fs::copy(&copy, &file).expect("restored");
    // Also beside a server that has been started too early: it notices.
    let server = here.serve().await;
    for credential in [&leaked_key, &key, &access] {
        server.introspect(&api, credential).await.active();
    }
    let sessions = "SELECT COUNT(*) FROM sessions";
    assert_eq!(database.column(sessions).await, ["1"]);
    assert_eq!(here.json(&["revoke", "sessions", "grants"]), json!({ "sessions": 1, "grants": 1 }));
    here.json(&["signing-key", "rotate", "--compromised"]);
    for entry in log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        if entry["event"] == "key.revoke" {
            here.json(&["key", "revoke", entry["object"].as_str().expect("an id")]);
        }
    }
    server.try_refresh(&client, &refresh).await.expect("a reply").oauth_error("invalid_grant");
    assert_eq!(database.column(sessions).await, ["0"]);
    for credential in [&leaked_key, &access] {
        let is_refused = async || server.introspect(&api, credential).await.body.contains("false").then_some(());
        wait::until("the server's look", is_refused).await;
    }
    server.introspect(&api, &key).await.active();
    // Without a log, every key goes that the backup has.
    let later = now().plus_seconds(60).rfc3339();
    assert_eq!(here.json(&["revoke", "keys", "--issued-since", &later]), json!({ "keys": 0 }));
    assert_eq!(here.json(&["revoke", "keys", "--issued-before", &later]), json!({ "keys": 1 }));
    let is_refused = async || server.introspect(&api, &key).await.body.contains("false").then_some(());
    wait::until("the server's look", is_refused).await;
    for wrong in [&["revoke"][..], &["revoke", "users"], &["revoke", "keys", "--issued-since", "soon"]] {
        here.refused(wrong);
    }
}
