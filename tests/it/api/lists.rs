//! Owns tests that a list's pages are full whatever the filter excludes, and that every list ends.

use grantd::{
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        denial::DenialRecord,
        secret::{Digest, new_id},
    },
    store::{ImportBatch, ImportProgress, ImportedKey},
};
use serde_json::json;

use super::{Caller, EVERYTHING};
use crate::harness::TestApp;

/// More rows than one statement of the store reads.
const MANY: usize = 700;

/// The number of items on each page, to the end. Only the only page may be empty.
async fn pages(caller: &Caller<'_>, target: &str) -> Vec<usize> {
    let (mut sizes, mut next) = (Vec::new(), String::new());
    loop {
        let reply = caller.get(&format!("{target}{next}")).await;
        reply.status(200);
        let page = reply.json();
        let size = page["items"].as_array().expect("items").len();
        sizes.push(size);
        let Some(cursor) = page["next"].as_str() else { return sizes };
        assert!(size > 0, "an empty page of {target} has a next");
        assert!(sizes.len() < 100, "{target} does not end");
        next = format!("&cursor={cursor}");
    }
}

/// Imports many keys at once, each with its own owner.
async fn import(app: &TestApp, owner: impl Fn(usize) -> String) {
    let key = |at: usize| ImportedKey {
        id: new_id("key"),
        digest: Digest::of(&format!("key {at}")),
        owner: owner(at),
        name: "Imported".to_owned(),
        prefix: "old_".to_owned(),
        hint: "abcd".to_owned(),
        scopes: "read".to_owned(),
        environment: "live".to_owned(),
        project: None,
        plan: None,
        networks: String::new(),
        expires_at: None,
    };
    let batch = ImportBatch {
        id: "many".to_owned(),
        keys: (0..MANY).map(key).collect(),
        progress: ImportProgress::default(),
        owners_plan: Some("free".to_owned()),
        dry_run: false,
    };
    let (_, progress) = app.app.store.import_keys(app.now(), Origin::default(), batch).await.expect("imported");
    assert_eq!(progress.imported, MANY as u64);
}

#[tokio::test]
async fn pages_of_keys_are_full() {
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let project = alice.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    for _ in 0..3 {
        let body =
            json!({ "name": "Old", "scopes": ["read"], "environment": "test", "project": project, "expires_in": 60 });
        alice.post("/keys", body).await.status(201);
    }
    app.advance(3600);
    import(&app, |_| "alice@example.com".to_owned()).await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    for caller in [&alice, &admin] {
        for filter in ["environment=test".to_owned(), "status=expired".to_owned(), format!("project={project}")] {
            assert_eq!(pages(caller, &format!("/keys?limit=2&{filter}")).await, [2, 1], "{filter}");
        }
        assert_eq!(pages(caller, "/keys?limit=2&status=revoked").await, [0]);
    }
    let user = &alice.user;
    assert_eq!(pages(&admin, &format!("/keys?limit=3&environment=test&user={user}")).await, [3]);
}

#[tokio::test]
async fn pages_of_users_clients_and_projects_are_full() {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let bob = Caller::new(&app, "bob", EVERYTHING).await;
    let register = async |caller: &Caller<'_>, name: String| {
        let body = json!({ "name": name, "redirect_uris": ["https://a.example/cb"], "scopes": ["read"] });
        caller.post("/clients", body).await.status(201);
        caller.post("/projects", json!({ "name": name })).await.status(201);
    };
    for at in 0..3 {
        register(&alice, format!("Old {at}")).await;
    }
    app.advance(1);
    for at in 0..20 {
        register(&bob, format!("New {at}")).await;
    }
    import(&app, |at| format!("owner{at}@example.com")).await;
    assert_eq!(pages(&admin, "/users?limit=2&plan=pro").await, [2, 1]);
    assert_eq!(pages(&admin, "/users?limit=100&plan=enterprise").await, [0]);
    for list in ["clients", "projects"] {
        assert_eq!(pages(&admin, &format!("/{list}?limit=2&user={}", alice.user)).await, [2, 1], "{list}");
        assert_eq!(pages(&alice, &format!("/{list}?limit=2")).await, [2, 1], "{list}");
    }
}

#[tokio::test]
async fn pages_of_refusals_are_full() {
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let refusal = |at: Timestamp, api: &str, key: &str| DenialRecord {
        request_id: "req_1".to_owned(),
        at,
        status: 403,
        reason: "the key lacks a scope".to_owned(),
        kind: None,
        asked: Default::default(),
        api: Some(api.to_owned()),
        key_id: Some(key.to_owned()),
        user_id: Some(alice.user.clone()),
        client_id: None,
        address: "192.0.2.1".to_owned(),
    };
    let rare = (0..3).map(|_| refusal(app.now(), "rare", "key_rare"));
    let many = (0..MANY).map(|_| refusal(app.now().plus_seconds(1), "common", "key_common"));
    app.app.store.insert_denials(app.now(), rare.chain(many).collect()).await.expect("kept");
    let admin = Caller::admin(&app, EVERYTHING).await;
    for caller in [&alice, &admin] {
        for filter in ["api=rare", "key_id=key_rare"] {
            assert_eq!(pages(caller, &format!("/denials?limit=2&{filter}")).await, [2, 1], "{filter}");
        }
        assert_eq!(pages(caller, "/denials?limit=100&api=common").await, [100; 7]);
        assert_eq!(pages(caller, "/denials?limit=100&api=none").await, [0]);
    }
}

#[tokio::test]
async fn pages_of_the_audit_log_are_full_and_end_at_the_time_range() {
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let entry = |event: &'static str, object: &str| {
        let event = Event::new(event).user(&alice.user).client("client_x").object(object);
        (Origin { actor: alice.user.clone(), ..Origin::default() }, event)
    };
    let store = &app.app.store;
    let rare = (0..3).map(|_| entry("rare.event", "key_rare")).collect();
    store.audit(app.now(), rare).await.expect("kept");
    let refused = entry("rare.refused", "key_rare");
    store.audit(app.now(), vec![(refused.0, refused.1.denied("no"))]).await.expect("kept");
    app.advance(10);
    let many = (0..MANY).map(|_| entry("common.event", "key_common")).collect();
    store.audit(app.now(), many).await.expect("kept");
    let admin = Caller::admin(&app, EVERYTHING).await;
    let (then, now) = (app.now().plus_seconds(-10).seconds(), app.now().seconds());
    for caller in [&alice, &admin] {
        for (filter, sizes) in [
            ("event=rare.event".to_owned(), vec![2, 1]),
            ("event=rare.".to_owned(), vec![2, 2]),
            ("outcome=denied&event=rare.".to_owned(), vec![1]),
            ("object=key_rare".to_owned(), vec![2, 2]),
            (format!("client=client_x&event=rare.event&from={then}"), vec![2, 1]),
            (format!("event=rare.&from={now}"), vec![0]),
            (format!("event=rare.event&to={now}"), vec![2, 1]),
            (format!("object=key_rare&to={then}"), vec![0]),
        ] {
            assert_eq!(pages(caller, &format!("/audit?limit=2&{filter}")).await, sizes, "{filter}");
        }
        assert_eq!(pages(caller, &format!("/audit?limit=100&event=common.&from={now}")).await, [100; 7]);
    }
}
