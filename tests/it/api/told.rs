//! Owns tests of what owners and administrators can see: usage, reasons of refusals, the audit log. AK16, AU1, AU2, AU3.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};

use super::{Caller, EVERYTHING};
use crate::harness::TestApp;

#[tokio::test]
async fn usage_is_shown_only_to_the_owner_by_hour_and_day() {
    // THREATS: AK16
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let bob = Caller::new(&app, "bob", EVERYTHING).await;
    let (id, key) = app.key(&alice.user, "read").await;
    for hours in [0, 1, 30] {
        app.advance(hours * 3600);
        app.introspect(&key).await.active();
        app.get_as("/v1/users/me", &key).await.status(200);
        // A key for the example API only is refused here, which counts too.
        app.get_as("/api/v1/keys", &key).await.status(403);
        app.app.background.flush().await.expect("flushed");
    }
    let path = format!("/keys/{id}/usage");
    let usage = alice.get(&format!("{path}?by=day")).await.status(200).json();
    assert_eq!(usage["by"], "day");
    assert_eq!(usage["total"]["denied"], 3);
    assert!(usage["total"]["allowed"].as_i64() >= Some(3), "{usage}");
    assert_eq!(usage["items"].as_array().map(Vec::len), Some(2), "{usage}");
    assert_eq!(usage["items"][0]["start"], "2026-11-21T00:00:00Z");
    let hours =
        alice.get(&format!("{path}?from=2026-11-21T00:00:00Z&to=2026-11-21T01:00:00Z")).await.status(200).json();
    assert_eq!(hours["items"].as_array().map(Vec::len), Some(1), "{hours}");
    bob.get(&path).await.problem(404, "not_found");
    assert_eq!(alice.get("/usage?by=day").await.status(200).json()["total"]["denied"], 3);
    assert_eq!(bob.get("/usage").await.status(200).json()["total"]["denied"], 0);
    bob.get(&format!("/usage?user={}", alice.user)).await.problem(404, "not_found");
    let admin = Caller::admin(&app, EVERYTHING).await;
    admin.get(&path).await.status(200);
    assert_eq!(admin.get("/usage?user=alice@example.com&by=day").await.status(200).json()["total"]["denied"], 3);
    for bad in ["by=week", "from=yesterday", "from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", "from=0", "x=1"] {
        alice.get(&format!("{path}?{bad}")).await.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn reasons_of_refusals_are_shown_only_to_the_owner() {
    // THREATS: AK13 AK16
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let bob = Caller::new(&app, "bob", EVERYTHING).await;
    let (id, key) = app.key_with(&alice.user, "read", |new| new.expires_in_seconds = Some(60)).await;
    app.advance(3 * 3600 + 60);
    let refused = app.get_as("/v1/users/me", &key).await;
    refused.status(401);
    let path = format!("/denials/{}", refused.header("x-request-id"));
    for flushed in [false, true] {
        if flushed {
            app.app.background.flush().await.expect("flushed");
        }
        let told = alice.get(&path).await.status(200).json();
        assert_eq!((&told["items"][0]["reason"], &told["items"][0]["key"]), (&json!("expired 3 h ago"), &json!(id)));
        bob.get(&path).await.problem(404, "not_found");
    }
    let listed = alice.get(&format!("/denials?key_id={id}")).await.status(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(bob.get("/denials").await.status(200).json()["items"], json!([]));
    alice.get("/denials/req_nothing").await.problem(404, "not_found");
    // Refusals without an owner are shown to administrators.
    let nobodys = app.get_as("/v1/users/me", "nonsense-nonsense").await;
    let path = format!("/denials/{}", nobodys.header("x-request-id"));
    alice.get(&path).await.problem(404, "not_found");
    let admin = Caller::admin(&app, EVERYTHING).await;
    assert_eq!(admin.get(&path).await.status(200).json()["items"][0]["user"], Value::Null);
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_with_actor_and_object() {
    // THREATS: AU1 AU2
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let made = alice.post("/keys", json!({ "scopes": ["read"], "name": "logged" })).await;
    let id = made.status(201).text("id");
    alice.patch(&format!("/keys/{id}"), json!({ "name": "renamed" })).await.status(200);
    let rotated = alice.post(&format!("/keys/{id}/rotate"), json!({})).await;
    alice.post(&format!("/keys/{}/revoke", rotated.status(201).text("id")), json!({})).await.status(200);
    let project = alice.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    alice.patch(&format!("/projects/{project}"), json!({ "disabled": true })).await.status(200);
    let told = alice.get("/audit?limit=100").await.status(200).json();
    let events: Vec<&str> = told["items"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["event"].as_str().expect("a name"))
        .collect();
    for event in ["key.create", "key.update", "key.rotate", "key.revoke", "project.create", "user.create"] {
        assert!(events.contains(&event), "{event}: {events:?}");
    }
    let entry = &alice.get(&format!("/audit?object={id}&event=key.update")).await.status(200).json()["items"][0];
    assert_eq!(entry["actor"], format!("{} {}", alice.user, alice.key_id), "who, and with which key");
    for (member, value) in
        [("user", json!(alice.user)), ("object", json!(id)), ("outcome", json!("ok")), ("address", json!("192.0.2.1"))]
    {
        assert_eq!(entry[member], value, "{entry}");
    }
    assert_eq!(entry["at"], app.now().rfc3339());
    assert!(!told.to_string().contains(&made.text("key")), "never a secret");
    let many = alice.get("/audit?event=key.").await.status(200).json();
    assert!(
        many["items"]
            .as_array()
            .is_some_and(|items| items.iter().all(|e| e["event"].as_str().is_some_and(|e| e.starts_with("key."))))
    );
    assert_eq!(alice.get("/audit?from=2030-01-01T00:00:00Z").await.status(200).json()["items"], json!([]));
    assert_eq!(alice.get("/audit?to=2020-01-01T00:00:00Z").await.status(200).json()["items"], json!([]));
    // Entries of others are hidden; an administrator's read is an entry itself.
    let bob = Caller::new(&app, "bob", EVERYTHING).await;
    assert!(!bob.get("/audit?limit=100").await.body.contains(&alice.user));
    bob.get(&format!("/audit?user={}", alice.user)).await.problem(404, "not_found");
    let admin = Caller::admin(&app, EVERYTHING).await;
    assert!(admin.get("/audit?user=alice@example.com").await.body.contains(&id));
    admin.get(&format!("/users/{}", alice.user)).await.status(200);
    let reads = admin.get("/audit?event=admin.read").await.status(200).json();
    let objects: Vec<&str> =
        reads["items"].as_array().expect("entries").iter().filter_map(|entry| entry["object"].as_str()).collect();
    assert!(
        objects.contains(&format!("/api/v1/users/{}", alice.user).as_str()) && objects.contains(&"/api/v1/audit"),
        "{objects:?}"
    );
}

#[tokio::test]
async fn management_api_verifies_credentials_like_other_endpoints() {
    // THREATS: AK12
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app
        .key_with(&user, EVERYTHING, |new| {
            new.networks = grantd::model::network::Networks::parse("192.0.2.0/24").expect("a network");
            new.expires_in_seconds = Some(60);
        })
        .await;
    let request = || {
        let request = Request::get("/api/v1/keys").header(header::AUTHORIZATION, format!("Bearer {key}"));
        request.body(Body::empty()).expect("a request")
    };
    app.send_from("192.0.2.7", request()).await.status(200);
    app.send_from("198.51.100.7", request()).await.problem(401, "invalid_token");
    app.app
        .store
        .set_user_active(app.now(), grantd::model::audit::Origin::default(), user.clone(), false)
        .await
        .expect("disabled");
    app.send_from("192.0.2.7", request()).await.problem(401, "invalid_token");
    app.app
        .store
        .set_user_active(app.now(), grantd::model::audit::Origin::default(), user, true)
        .await
        .expect("enabled");
    app.send_from("192.0.2.7", request()).await.status(200);
    app.advance(60);
    app.send_from("192.0.2.7", request()).await.problem(401, "invalid_token");
}
