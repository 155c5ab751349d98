//! Owns tests of keys by the management API: their life cycle, and that none can create a wider one.

use axum::{body::Body, http::Request};
use grantd::store::ChangeFeed;
use serde_json::{Value, json};

use super::{Caller, EVERYTHING};
use crate::harness::TestApp;

const MANAGES: &str = "grantd:keys:read grantd:keys:write read";

#[tokio::test]
async fn keys_are_created_read_changed_and_revoked() {
    // THREATS: AK2
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", MANAGES).await;
    let made = alice
        .post("/keys", json!({ "name": "CI", "scopes": ["read"], "networks": ["192.0.2.0/24"], "expires_in": 3600 }))
        .await;
    made.status(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let (id, key) = (made.text("id"), made.text("key"));
    let read = alice.get(&format!("/keys/{id}")).await;
    read.status(200);
    assert!(!read.body.contains(&key));
    let told = read.json();
    for (member, value) in [
        ("user", json!(alice.user)),
        ("name", json!("CI")),
        ("scopes", json!(["read"])),
        ("environment", json!("live")),
        ("status", json!("active")),
        ("networks", json!(["192.0.2.0/24"])),
        ("expires_at", json!(app.now().plus_seconds(3600).rfc3339())),
        ("seen_from", json!([])),
        ("project", Value::Null),
    ] {
        assert_eq!(told[member], value, "{member}");
    }
    let listed = alice.get("/keys").await;
    assert!(listed.ids().contains(&id) && !listed.body.contains(&key));
    let changed =
        alice.patch(&format!("/keys/{id}"), json!({ "name": "Deploy", "networks": [], "expires_in": 60 })).await;
    changed.status(200);
    assert_eq!((changed.text("name"), changed.json()["networks"].clone()), ("Deploy".to_owned(), json!([])));
    assert_eq!(app.introspect(&key).await.active()["scope"], "read");
    alice.patch(&format!("/keys/{id}"), json!({ "expires_in": 61 })).await.problem(400, "invalid_request");
    let revoked = alice.post(&format!("/keys/{id}/revoke"), json!({})).await;
    revoked.status(200);
    assert_eq!(revoked.text("status"), "revoked");
    app.introspect(&key).await.inactive();
    alice.patch(&format!("/keys/{id}"), json!({ "name": "x" })).await.problem(409, "conflict");
    alice.post(&format!("/keys/{id}/rotate"), json!({})).await.problem(409, "conflict");
    // Revoking again succeeds.
    alice.post(&format!("/keys/{id}/revoke"), json!({})).await.status(200);
}

#[tokio::test]
async fn rotation_keeps_the_old_key_for_a_while_and_regeneration_does_not() {
    // THREATS: AK11
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", MANAGES).await;
    let (id, old) = app.key(&alice.user, "read").await;
    let rotated = alice.post(&format!("/keys/{id}/rotate"), json!({ "overlap": 60 })).await;
    rotated.status(201);
    assert_eq!((rotated.text("replaces"), rotated.text("old_ends_at")), (id, app.now().plus_seconds(60).rfc3339()));
    app.introspect(&old).await.active();
    app.introspect(&rotated.text("key")).await.active();
    let again = alice.post(&format!("/keys/{}/regenerate", rotated.text("id")), json!({})).await;
    again.status(201);
    for ended in [&old, &rotated.text("key")] {
        app.introspect(ended).await.inactive();
    }
    app.introspect(&again.text("key")).await.active();
}

#[tokio::test]
async fn keys_cannot_create_wider_keys() {
    // THREATS: AK6 TX8
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", MANAGES).await;
    for scopes in [json!(["write"]), json!(["read", "write"]), json!(["all"]), json!(["grantd:projects:read"])] {
        let problem = alice.post("/keys", json!({ "scopes": scopes })).await.problem(403, "insufficient_scope");
        assert!(problem["detail"].as_str().is_some_and(|words| words.contains("does not have")), "{problem}");
    }
    // It cannot change an existing one either.
    let (wider, _) = app.key(&alice.user, "read write").await;
    for way in ["rotate", "regenerate"] {
        alice.post(&format!("/keys/{wider}/{way}"), json!({})).await.problem(403, "insufficient_scope");
    }
    app.key(&alice.user, "read").await;
    // Keys of administrators are limited by their scopes too.
    let admin = Caller::admin(&app, MANAGES).await;
    admin
        .post("/keys", json!({ "user": "alice@example.com", "scopes": ["write"] }))
        .await
        .problem(403, "insufficient_scope");
    admin.post(&format!("/keys/{wider}/rotate"), json!({})).await.problem(403, "insufficient_scope");
    let made = admin.post("/keys", json!({ "user": "alice@example.com", "scopes": ["read"] })).await;
    assert_eq!(made.status(201).text("user"), alice.user);
}

#[tokio::test]
async fn an_api_cannot_use_a_key_that_it_receives_at_the_management_api() {
    // THREATS: AK12
    let app = TestApp::new().await;
    app.route("example-api", "GET", "/orders", "read", false).await;
    let alice = Caller::new(&app, "alice", MANAGES).await;
    let at_the_api = async || {
        let active = app.introspect(&alice.key).await.json()["active"] == true;
        let request = Request::get("/gateway/verify/example-api/orders");
        let request = request.header("authorization", format!("Bearer {}", alice.key));
        let reply = app.send(request.body(Body::empty()).expect("a request")).await;
        (active, reply.status == 200)
    };
    // So the APIs of its other scopes refuse it, and it gives these scopes to keys for them.
    assert_eq!(at_the_api().await, (false, false));
    let made = alice.post("/keys", json!({ "scopes": ["read"] })).await;
    app.introspect(&made.status(201).text("key")).await.active();
    let rotated = alice.post(&format!("/keys/{}/rotate", alice.key_id), json!({})).await.status(201).text("key");
    app.introspect(&rotated).await.inactive();
    // One from before schema 24 goes on as before.
    app.database.run(&format!("UPDATE api_keys SET is_for_both = TRUE WHERE id = '{}'", alice.key_id)).await;
    app.advance(1);
    app.app.background.poll(&mut ChangeFeed::default()).await.expect("a look");
    assert_eq!(at_the_api().await, (true, true));
    alice.get("/keys").await.status(200);
}

#[tokio::test]
async fn limits_of_a_key_apply_to_keys_it_creates() {
    // THREATS: AK6 AK12
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let with = async |change: &dyn Fn(&mut grantd::engine::new_key::NewKey)| {
        let (key_id, key) = app.key_with(&user, MANAGES, |new| change(new)).await;
        Caller { app: &app, user: user.clone(), key_id, key }
    };
    let short = with(&|new| new.expires_in_seconds = Some(100)).await;
    let end = app.now().plus_seconds(100).rfc3339();
    let made = short.post("/keys", json!({ "scopes": ["read"] })).await;
    assert_eq!(made.status(201).text("expires_at"), end);
    short.post("/keys", json!({ "scopes": ["read"], "expires_in": 101 })).await.problem(403, "insufficient_scope");
    short.post("/keys", json!({ "scopes": ["read"], "expires_in": 100 })).await.status(201);
    app.advance(40);
    let successor = short.post(&format!("/keys/{}/rotate", short.key_id), json!({})).await;
    assert_eq!(successor.status(201).text("expires_at"), end, "no key lives on by making its like");

    let here =
        with(&|new| new.networks = grantd::model::network::Networks::parse("192.0.2.0/24").expect("a network")).await;
    let made = here.post("/keys", json!({ "scopes": ["read"] })).await;
    assert_eq!(made.status(201).json()["networks"], json!(["192.0.2.0/24"]));
    here.post("/keys", json!({ "scopes": ["read"], "networks": ["192.0.2.128/25"] })).await.status(201);
    for networks in [json!(["0.0.0.0/0"]), json!(["192.0.2.1", "198.51.100.1"])] {
        here.post("/keys", json!({ "scopes": ["read"], "networks": networks }))
            .await
            .problem(403, "insufficient_scope");
    }
    // It cannot remove its own limits or those of others.
    for id in [&here.key_id, &made.text("id")] {
        here.patch(&format!("/keys/{id}"), json!({ "networks": [] })).await.problem(403, "insufficient_scope");
    }

    let test = with(&|new| new.environment = Some("test".to_owned())).await;
    test.post("/keys", json!({ "scopes": ["read"] })).await.problem(403, "insufficient_scope");
    test.post("/keys", json!({ "scopes": ["read"], "environment": "test" })).await.status(201);
}

#[tokio::test]
async fn project_keys_create_keys_only_in_their_project() {
    // THREATS: AK6
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let project = alice.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    let other = alice.post("/projects", json!({ "name": "Grid" })).await.status(201).text("id");
    let made = alice
        .post("/keys", json!({ "scopes": ["grantd:keys:write", "grantd:projects:write", "read"], "project": project }))
        .await;
    assert_eq!(made.status(201).text("project"), project);
    let inside = Caller { app: &app, user: alice.user.clone(), key_id: made.text("id"), key: made.text("key") };
    let made = inside.post("/keys", json!({ "scopes": ["read"] })).await;
    assert_eq!(made.status(201).text("project"), project);
    inside.post("/keys", json!({ "scopes": ["read"], "project": other })).await.problem(403, "insufficient_scope");
    // It has no access outside the project.
    for way in ["revoke", "rotate", "regenerate"] {
        inside.post(&format!("/keys/{}/{way}", alice.key_id), json!({})).await.problem(403, "insufficient_scope");
    }
    inside.patch(&format!("/keys/{}", alice.key_id), json!({ "name": "x" })).await.problem(403, "insufficient_scope");
    inside.patch(&format!("/projects/{other}"), json!({ "disabled": true })).await.problem(403, "insufficient_scope");
    inside.post("/projects", json!({ "name": "Another" })).await.problem(403, "insufficient_scope");
    inside.patch(&format!("/projects/{project}"), json!({ "name": "Port" })).await.status(200);
}

#[tokio::test]
async fn key_scopes_must_exist_and_be_given() {
    // THREATS: AK18
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    for body in
        [json!({}), json!({ "scopes": [] }), json!({ "scopes": ["nothing"] }), json!({ "scopes": ["all", "read"] })]
    {
        let problem = alice.post("/keys", body.clone()).await.problem(400, "invalid_scope");
        assert!(
            problem["detail"].as_str().is_some_and(|words| words.contains("available scopes: read write")),
            "{problem}"
        );
    }
    // `all` means all of the deployment's own APIs; scopes of the management API must be named.
    let all = alice.post("/keys", json!({ "scopes": ["all"] })).await;
    assert_eq!(all.status(201).json()["scopes"], json!(["read", "write"]));
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    // THREATS: HX11 AK16
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let mut made = vec![alice.key_id.clone()];
    for at in 0..5 {
        app.advance(1);
        let environment = if at % 2 == 0 { "test" } else { "live" };
        made.push(app.key_with(&alice.user, "read", |new| new.environment = Some(environment.to_owned())).await.0);
    }
    made.reverse();
    let (mut seen, mut target) = (Vec::new(), "/keys?limit=2".to_owned());
    for _ in 0..3 {
        let page = alice.get(&target).await;
        let ids = page.ids();
        assert_eq!(ids.len(), 2);
        seen.extend(ids);
        target = format!("/keys?limit=2&cursor={}", page.json()["next"].as_str().unwrap_or_default());
    }
    assert_eq!(seen, made);
    assert_eq!(target, "/keys?limit=2&cursor=", "the last page has no next");
    assert_eq!(alice.get("/keys?environment=test").await.ids().len(), 3);
    app.app
        .store
        .revoke_key(app.now(), grantd::model::audit::Origin::default(), made[0].clone(), None)
        .await
        .expect("revoked");
    assert_eq!(alice.get("/keys?status=revoked").await.ids(), [made[0].clone()]);
    assert_eq!(alice.get("/keys?status=active&environment=test").await.ids().len(), 2);
    let cursor = alice.get("/keys?limit=2").await.text("next");
    for bad in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=two",
        "limit=2&limit=3",
        "status=dead",
        "sort=name",
        "Limit=2",
        "cursor=AAAA",
        "cursor=%27%20OR%201%3D1",
        &format!("cursor={}A", cursor),
        "user=%00",
    ] {
        let reply = alice.get(&format!("/keys?{bad}")).await;
        assert!([400, 404].contains(&reply.status.as_u16()), "{bad}: {}", reply.body);
    }
    alice.get(&format!("/projects?cursor={cursor}")).await.problem(400, "invalid_request");
}
