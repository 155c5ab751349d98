//! Owns tests of the audit log as evidence: changes are detected, exports are complete, and old entries are purged.

use grantd::{engine::master::MasterKey, model::clock::Timestamp};
use serde_json::{Value, json};

use crate::harness::{Installation, TestApp, database::Database, process::now};

/// A log of some sealed entries; the installation and its database.
async fn written() -> (Installation, Database) {
    let database = Database::sqlite();
    let here = Installation::on(database.same());
    here.api();
    for name in ["alice", "bob", "carol"] {
        here.user(&format!("{name}@example.com"));
    }
    here.json(&["audit", "verify"]);
    (here, database)
}

#[tokio::test]
async fn changed_or_missing_entries_are_detected() {
    // THREATS: AU4
    for (harm, said) in [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 2", "entry 2, or the one before it, was changed"),
        ("UPDATE audit SET reason = 'x' WHERE seq = 1", "entry 1, or the one before it, was changed"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE seq = 1", "entry 1 is missing"),
        ("DELETE FROM audit WHERE seq > 2", "entries 3 to "),
        ("DELETE FROM audit", "entries 1 to "),
        // Renumbering does not hide it.
        ("DELETE FROM audit WHERE seq = 2; UPDATE audit SET seq = seq - 1 WHERE seq > 2", "entry 2, or the one before"),
        ("UPDATE audit SET seal = (SELECT seal FROM audit WHERE seq = 1) WHERE seq = 2", "entry 2, or the one before"),
    ] {
        let (here, database) = written().await;
        database.run(harm).await;
        let words = here.refused(&["audit", "verify"]);
        assert!(words.contains("tampered with") && words.contains(said), "{harm}: {words}");
    }
    // Another master key can neither seal nor verify.
    let (mut here, database) = written().await;
    here.user("dora@example.com");
    here.set("GRANTD_MASTER_KEY", MasterKey::generate().text().to_string());
    for command in ["verify", "export"] {
        assert!(here.refused(&["audit", command]).contains("the master key does not match"));
    }
    here.unset("GRANTD_MASTER_KEY");
    assert!(here.refused(&["audit", "verify"]).contains("grantd.db.key is missing"));
    let unsealed = database.column("SELECT COUNT(*) FROM audit WHERE seq IS NULL").await;
    assert_eq!(unsealed, ["1"]);
}

#[tokio::test]
async fn exports_are_complete_and_can_be_resumed() {
    // THREATS: AU4
    let (here, _database) = written().await;
    let words = here.run(&["audit", "verify"]).out;
    assert!(words.starts_with("The audit log is intact: ") && words.contains(" entries, numbers 1 to "), "{words}");
    let lines = |arguments: &[&str]| -> Vec<Value> {
        here.run(arguments).out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let all = lines(&["audit", "export"]);
    let count = all.len();
    assert!(count >= 4);
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(entry["seq"], at + 1);
        assert!(entry["seal"].as_str().is_some_and(|seal| seal.len() == 43), "{entry}");
        assert!(
            entry["event"].is_string() && entry["at"].as_str().is_some_and(|at| at.len() > 19 && at.ends_with('Z')),
            "{entry}"
        );
    }
    here.user("dora@example.com");
    let more = lines(&["audit", "export", "--after", &count.to_string()]);
    assert_eq!((more.len(), &more[0]["event"]), (1, &json!("user.create")));
    let verified = here.json(&["audit", "verify"]);
    assert_eq!(verified, json!({ "intact": true, "entries": count + 1, "oldest": 1, "newest": count + 1 }));
}

/// Every entry, oldest first.
fn exported(here: &Installation) -> Vec<Value> {
    here.run(&["audit", "export"]).out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn truncation_with_its_head_is_detected_only_against_an_export() {
    // THREATS: AU4
    let (here, database) = written().await;
    let taken = exported(&here);
    let [.., before, _, newest] = &taken[..] else { panic!("{taken:?}") };
    let (seq, seal) = (before["seq"].as_i64().expect("a number"), before["seal"].as_str().expect("a seal"));
    let cut = format!(
        "DELETE FROM audit WHERE seq > {seq}; UPDATE meta SET value = '{seq} {seal}' WHERE name = 'audit_head'"
    );
    database.run(&cut).await;
    // Whoever can write to the database can restore an older state, which verifies.
    assert_eq!(here.json(&["audit", "verify"])["newest"], seq);
    // The export shows that there was more, even if the log has grown to the same length.
    assert!(!exported(&here).contains(newest));
    for name in ["dora", "emil"] {
        here.user(&format!("{name}@example.com"));
    }
    let again = exported(&here);
    assert_eq!((again.len(), &again[..taken.len() - 2]), (taken.len(), &taken[..taken.len() - 2]));
    assert_eq!(again.last().expect("an entry")["seq"], newest["seq"]);
    assert_ne!(again.last().expect("an entry")["seal"], newest["seal"]);
}

#[test]
fn code_only_appends_seals_and_purges_entries() {
    // THREATS: AU4
    // No database role restricts the server itself: it creates its tables and so owns them.
    let store = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut found = Vec::new();
    for file in std::fs::read_dir(store).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let text = std::fs::read_to_string(file).expect("text");
        for word in ["UPDATE audit ", "DELETE FROM audit ", "REPLACE INTO audit ", "INTO audit "] {
            let statements = text.match_indices(word).map(|(at, _)| text[at..].lines().next().unwrap_or_default());
            found.extend(statements.map(|line| line.split(['"', '(']).next().unwrap_or_default().trim().to_owned()));
        }
    }
    found.sort();
    assert_eq!(
        found,
        ["DELETE FROM audit WHERE seq <= $1", "INTO audit", "UPDATE audit SET seq = v.column2, seal = v.column3"]
    );
}

#[tokio::test]
async fn purged_log_still_verifies() {
    // THREATS: AU4
    let (here, database) = written().await;
    let store = here.store().await;
    let before = here.json(&["audit", "verify"])["newest"].as_i64().expect("a number");
    // The first two are made old; then the log is purged as it is every minute.
    let far = now().plus_seconds(-500 * 86_400);
    database.run(&format!("UPDATE audit SET at = {} WHERE seq <= 2", far.0)).await;
    assert!(here.refused(&["audit", "verify"]).contains("changed"), "also its time is sealed");
    store.purge_expired(now(), 400 * 86_400).await.expect("purged");
    assert_eq!(
        here.json(&["audit", "verify"]),
        json!({ "intact": true, "entries": before - 2, "oldest": 3, "newest": before })
    );
    // Unsealed entries stay, however old they seem.
    here.user("dora@example.com");
    database.run(&format!("UPDATE audit SET at = {} WHERE seq IS NULL", far.0)).await;
    store.purge_expired(now(), 400 * 86_400).await.expect("purged");
    assert_eq!(here.json(&["audit", "verify"])["newest"], before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_seal_in_turn() {
    let app = TestApp::new().await;
    let other = app.beside().await;
    for at in 0..20 {
        app.user(&format!("user{at}@example.com")).await;
        let flushed = tokio::join!(app.app.background.flush(), other.app.background.flush());
        flushed.0.and(flushed.1).expect("flushed");
    }
    let entries = app.app.store.sealed_entries(0).await.expect("entries");
    let places: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
    let (_, head) = app.app.store.audit_ends().await.expect("ends");
    assert_eq!(places, (1..=head.seq).collect::<Vec<_>>());
    assert!(entries.len() >= 20 && entries.iter().all(|entry| entry.entry.at > Timestamp(0)));
}

#[test]
fn every_command_that_changes_something_is_audited() {
    // THREATS: AU1
    let here = Installation::new();
    here.api();
    here.user("alice@example.com");
    let made = |arguments: &[&str]| here.json(arguments)["id"].as_str().expect("an id").to_owned();
    let project = made(&["project", "create", "--user", "alice@example.com", "--name", "Harbor"]);
    here.json(&["project", "set", &project, "--name", "Grid"]);
    here.json(&["project", "disable", &project]);
    here.json(&["project", "enable", &project]);
    here.json(&["plan", "set", "small", "--per-hour", "10", "--burst", "2"]);
    let route = made(&["api", "add-route", "example-api", "--path", "/v1/*", "--scope", "read"]);
    here.json(&["api", "remove-route", &route, "--open"]);
    let key = ["key", "create", "--user", "alice@example.com", "--scope", "read", "--project", &project];
    let rotated = made(&["key", "rotate", &made(&key)]);
    let regenerated = made(&["key", "regenerate", &rotated]);
    here.json(&["key", "revoke", &regenerated]);
    let log = here.json(&["audit", "--limit", "100"]);
    let log = log["items"].as_array().expect("entries");
    for (event, object) in [
        ("project.create", &project),
        ("project.update", &project),
        ("project.disable", &project),
        ("project.enable", &project),
        ("plan.set", &"small".to_owned()),
        ("route.create", &route),
        ("route.delete", &route),
        ("key.regenerate", &rotated),
        ("key.revoke", &regenerated),
    ] {
        let found = log.iter().find(|entry| entry["event"] == event).unwrap_or_else(|| panic!("no {event}: {log:?}"));
        assert!(found["object"] == object.as_str() && found["actor"] == "cli", "{found}");
    }
    assert!(log.iter().any(|entry| entry["event"] == "key.rotate"));
}
