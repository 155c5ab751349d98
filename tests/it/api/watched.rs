//! Owns tests of what is audited of administrators, and what users see of it: AU1, AU2. For changes, see `admin`.

use axum::http::Method;
use serde_json::json;

use super::{Caller, EVERYTHING};
use crate::harness::TestApp;

/// Reads by administrators, sorted by name: entries of the same time have no order.
async fn looks(app: &TestApp) -> Vec<String> {
    let entries = app.entries(1000).await;
    let looks = entries.into_iter().filter(|entry| entry.event == "admin.read");
    let mut looks: Vec<String> = looks.filter_map(|entry| entry.object).collect();
    looks.sort();
    looks
}

#[tokio::test]
async fn administrators_reads_of_other_users_things_are_audited() {
    // THREATS: AU1
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let project = alice.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    let body = json!({ "name": "App", "redirect_uris": ["https://a.example/cb"], "scopes": ["read"] });
    let client = alice.post("/clients", body).await.status(201).text("id");
    let mut expected = Vec::new();
    for target in [
        "/keys".to_owned(),
        format!("/keys?user={}", alice.user),
        "/keys?limit=1&user=alice%40example.com".to_owned(),
        format!("/keys/{}", alice.key_id),
        format!("/keys/{}/usage", alice.key_id),
        "/projects".to_owned(),
        format!("/projects/{project}"),
        "/clients".to_owned(),
        format!("/clients/{client}"),
        "/users".to_owned(),
        "/users?email=alice@example.com".to_owned(),
        format!("/users/{}", alice.user),
        format!("/usage?user={}", alice.user),
        "/denials".to_owned(),
        "/audit".to_owned(),
    ] {
        for method in [Method::GET, Method::HEAD] {
            admin.send(method, &target, &[], None).await.status(200);
            expected.push(format!("/api/v1{}", target.replace("limit=1&", "").replace("%40", "@")));
        }
    }
    // An empty change returns the thing as well.
    for (kind, id) in [("keys", &alice.key_id), ("projects", &project), ("clients", &client), ("users", &alice.user)] {
        admin.patch(&format!("/{kind}/{id}"), json!({})).await.status(200);
        expected.push(format!("/api/v1/{kind}/{id}"));
    }
    // Things without an owner are not audited, nor are users' reads of their own.
    for target in ["/scopes", "/apis", "/apis/example-api", "/apis/example-api/routes", "/plans"] {
        admin.get(target).await.status(200);
    }
    alice.get("/keys").await.status(200);
    expected.sort();
    assert_eq!(looks(&app).await, expected);
    let entries = app.entries(1000).await;
    let look = entries.iter().find(|entry| entry.event == "admin.read").expect("a look");
    assert_eq!(look.actor, format!("{} {}", admin.user, admin.key_id));
}

#[tokio::test]
async fn audited_reads_name_the_user_in_every_spelling() {
    // THREATS: AU1
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    for name in ["user", "%75ser", "u%73er"] {
        admin.get(&format!("/keys?{name}={}", alice.user)).await.status(200);
    }
    assert_eq!(looks(&app).await, vec![format!("/api/v1/keys?user={}", alice.user); 3]);
}

#[tokio::test]
async fn reads_that_cannot_be_audited_are_refused() {
    // THREATS: AU1 AU3
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    app.database.run("ALTER TABLE audit RENAME TO hidden").await;
    for method in [Method::GET, Method::HEAD] {
        admin.send(method, &format!("/keys?user={}", alice.user), &[], None).await.status(503);
    }
    alice.get("/keys").await.status(200);
    app.database.run("ALTER TABLE hidden RENAME TO audit").await;
}

#[tokio::test]
async fn users_see_that_an_administrator_acted_but_not_which() {
    // THREATS: AU1 AU2
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let (key, _) = app.key(&alice.user, "read").await;
    let patch = format!("/users/{}", alice.user);
    admin.patch(&patch, json!({ "plan": "enterprise" })).await.status(200);
    app.advance(1);
    admin.post(&format!("/keys/{key}/revoke"), json!({})).await.status(200);
    let id = app.entries(1).await[0].request_id.clone();
    let told = alice.get("/audit?limit=100").await;
    for entry in told.status(200).json()["items"].as_array().expect("entries") {
        let event = entry["event"].as_str().expect("an event");
        if ["user.update", "key.revoke"].contains(&event) {
            assert_eq!((&entry["actor"], &entry["address"]), (&json!("an administrator"), &json!("")), "{entry}");
        }
    }
    assert_eq!(told.json()["items"][0]["request_id"], id, "by which an administrator finds it");
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let page = browser.get("/settings/activity").await;
    page.page(200);
    assert!(page.body.contains("Your account was changed") && page.body.contains("by an administrator"));
    assert!(!page.body.contains("by an administrator, from"), "{}", page.body);
    for body in [&told.body, &page.body] {
        assert!(!body.contains(&admin.user) && !body.contains(&admin.key_id), "{body}");
    }
    // Users see in full what their own keys did, and administrators see everything.
    app.advance(1);
    alice.post("/keys", json!({ "scopes": ["read"], "name": "own" })).await.status(201);
    let own = &alice.get("/audit?event=key.create&limit=1").await.status(200).json()["items"][0];
    assert_eq!(own["actor"], format!("{} {}", alice.user, alice.key_id));
    assert_eq!(own["address"], "192.0.2.1");
    let all = admin.get("/audit?event=user.update").await.status(200).json();
    assert_eq!(all["items"][0]["actor"], format!("{} {}", admin.user, admin.key_id));
    assert_eq!((&all["items"][0]["user"], &all["items"][0]["address"]), (&json!(alice.user), &json!("192.0.2.1")));
}
