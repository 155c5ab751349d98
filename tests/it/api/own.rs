//! Owns tests of who may use the management API, and on whose things: AK5, AK8, AK16, SE16.

use axum::{
    body::Body,
    http::{Request, header},
};
use grantd::model::{audit::Origin, client::ClientType, scope::Scopes};
use serde_json::json;

use super::{Caller, EVERYTHING};
use crate::harness::{ISSUER, TestApp, flow};

#[tokio::test]
async fn credential_and_scope_are_required() {
    // THREATS: AK6 AK8
    let app = TestApp::new().await;
    let reply = app.get("/api/v1/keys").await;
    reply.problem(401, "invalid_token");
    assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"grantd\"");
    let wrong = app.get_as("/api/v1/keys", "gd_live_wrong").await;
    wrong.problem(401, "invalid_token");
    assert_eq!(wrong.header("www-authenticate"), "Bearer realm=\"grantd\", error=\"invalid_token\"");
    let request = Request::get("/api/v1/keys").header(header::AUTHORIZATION, "Basic eDp5").body(Body::empty());
    app.send(request.expect("a request")).await.problem(401, "invalid_token");
    // A key for the example API only, a read-only one, and one with another scope.
    for (name, scopes) in [("a", "read write"), ("b", "grantd:keys:read"), ("c", "grantd:projects:write")] {
        let caller = Caller::new(&app, name, scopes).await;
        let reply = caller.post("/keys", json!({ "scopes": ["read"] })).await;
        let problem = reply.problem(403, "insufficient_scope");
        assert_eq!(problem["scope"], "grantd:keys:write");
        assert_eq!(
            reply.header("www-authenticate"),
            "Bearer realm=\"grantd\", error=\"insufficient_scope\", scope=\"grantd:keys:write\""
        );
        // The key's owner can see the reason.
        let why = app.app.denials.of_request(&app.app.store, reply.header("x-request-id"), Some(&caller.user)).await;
        assert_eq!(why.expect("records")[0].reason, "missing scope grantd:keys:write");
        let instance = format!("{ISSUER}/settings/denied?request_id={}", reply.header("x-request-id"));
        assert_eq!(problem["instance"], instance);
    }
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    app.app.store.revoke_key(app.now(), Origin::default(), alice.key_id.clone(), None).await.expect("revoked");
    alice.get("/keys").await.problem(401, "invalid_token");
}

#[tokio::test]
async fn keys_in_urls_are_refused() {
    // THREATS: AK4
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    for name in ["api_key", "access_token", "API_KEY"] {
        app.get(&format!("/api/v1/keys?{name}={}", alice.key)).await.problem(400, "invalid_request");
        alice.get(&format!("/keys?{name}={}", alice.key)).await.problem(400, "invalid_request");
    }
    assert!(app.audit().await.contains(&"credential_in_url".to_owned()));
}

#[tokio::test]
async fn things_of_other_users_are_not_found() {
    // THREATS: AK16
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let bob = Caller::new(&app, "bob", EVERYTHING).await;
    let project = bob.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    let theirs = format!("/keys/{}", bob.key_id);
    let nobodys = alice.get("/keys/key_00000000000000000000").await;
    nobodys.problem(404, "not_found");
    let without_id = |reply: &crate::harness::Reply| {
        let mut body = reply.json();
        body["request_id"] = json!("");
        (reply.status, body)
    };
    assert_eq!(without_id(&alice.get(&theirs).await), without_id(&nobodys), "as if it did not exist");
    alice.patch(&theirs, json!({ "name": "mine" })).await.problem(404, "not_found");
    for way in ["revoke", "rotate", "regenerate"] {
        alice.post(&format!("{theirs}/{way}"), json!({})).await.problem(404, "not_found");
    }
    alice.get(&format!("/projects/{project}")).await.problem(404, "not_found");
    alice.patch(&format!("/projects/{project}"), json!({ "disabled": true })).await.problem(404, "not_found");
    alice.post("/keys", json!({ "scopes": ["read"], "project": project })).await.problem(400, "invalid_request");
    assert_eq!(alice.get("/keys").await.ids(), [alice.key_id.as_str()]);
    alice.get(&format!("/keys?user={}", bob.user)).await.problem(404, "not_found");
    alice.get("/keys?user=bob@example.com").await.problem(404, "not_found");
    alice.get("/keys?user=nobody@example.com").await.problem(404, "not_found");
    assert_eq!(alice.get("/keys?user=Alice@example.com").await.ids(), [alice.key_id.as_str()]);
    assert!(alice.get("/projects").await.ids().is_empty());
    // Nothing was changed.
    bob.get(&theirs).await.status(200);
    assert_eq!(bob.get("/keys").await.json()["items"][0]["name"], "Test key");
    // An administrator sees everything, and can select a user.
    let admin = Caller::admin(&app, EVERYTHING).await;
    assert_eq!(admin.get("/keys").await.ids().len(), 3);
    assert_eq!(admin.get("/keys?user=bob@example.com").await.ids(), [bob.key_id.as_str()]);
    assert_eq!(admin.get(&format!("/keys?project={project}")).await.ids().len(), 0);
    admin.get(&theirs).await.status(200);
    admin.get("/keys?user=nobody@example.com").await.problem(404, "not_found");
}

#[tokio::test]
async fn administrator_only_members_are_refused() {
    // THREATS: AK5 SE16
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let bob = Caller::new(&app, "bob", EVERYTHING).await;
    for (member, value) in [
        ("user", json!(bob.user)),
        ("user", json!(alice.user)),
        ("plan", json!("enterprise")),
        ("user_id", json!(bob.user)),
        ("userId", json!(bob.user)),
        ("permissions", json!({ "all": true })),
        ("rateLimit", json!(1)),
        ("remaining", json!(1_000_000)),
        ("admin", json!(true)),
        ("form", json!("uuid")),
        ("id", json!("key_mine")),
        ("key", json!("gd_live_mine")),
        ("Scopes", json!(["write"])),
        ("created_at", json!("2020-01-01T00:00:00Z")),
    ] {
        let mut body = json!({ "scopes": ["read"] });
        body[member] = value.clone();
        alice.post("/keys", body).await.problem(400, "invalid_request");
    }
    for (member, value) in [("user", json!(bob.user)), ("plan", json!("enterprise")), ("owner_id", json!(bob.user))] {
        let mut body = json!({ "name": "Harbor" });
        body[member] = value;
        alice.post("/projects", body).await.problem(400, "invalid_request");
    }
    let project = alice.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    for body in [json!({ "plan": "enterprise" }), json!({ "user": bob.user }), json!({ "user_id": bob.user })] {
        alice.patch(&format!("/projects/{project}"), body).await.problem(400, "invalid_request");
    }
    for body in [json!({ "scopes": ["write"] }), json!({ "plan": "pro" }), json!({ "revoked_at": null, "uses": 0 })] {
        alice.patch(&format!("/keys/{}", alice.key_id), body).await.problem(400, "invalid_request");
    }
    assert_eq!(bob.get("/keys").await.ids(), [bob.key_id.as_str()]);
    assert_eq!(alice.get("/keys").await.ids(), [alice.key_id.as_str()]);
    // These members are for administrators.
    let admin = Caller::admin(&app, EVERYTHING).await;
    let made = admin.post("/keys", json!({ "scopes": ["read"], "user": bob.user, "plan": "enterprise" })).await;
    assert_eq!((made.status(201).text("user"), made.text("plan")), (bob.user.clone(), "enterprise".to_owned()));
    admin.post("/keys", json!({ "scopes": ["read"], "plan": "gold" })).await.problem(400, "invalid_request");
    admin.post("/keys", json!({ "scopes": ["read"], "user": "user_x" })).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn management_keys_are_not_sessions_or_clients() {
    // THREATS: AK8
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    for page in ["/settings/keys", "/settings/apps", "/apps"] {
        let reply = app.get_as(page, &admin.key).await;
        assert_eq!((reply.status.as_u16(), reply.header("location")), (303, "/login"), "{page}");
        // The browser gets an id for the return path, but no session.
        assert!(!reply.header("set-cookie").contains("session"), "{page}");
    }
    app.get_as("/metrics", &admin.key).await.status(404);
    let form = [("grant_type", "client_credentials"), ("client_id", &admin.key_id), ("client_secret", &admin.key)];
    app.post("/oauth/token", &form).await.oauth_error("invalid_client");
    // Another API cannot use it, also not for its own scopes, which the key may only hand on.
    app.introspect(&admin.key).await.inactive();
    app.get_as("/gateway/verify/grantd", &admin.key).await.status(404);
    app.get_as("/gateway/verify", &admin.key).await.status(401);
}

#[tokio::test]
async fn apps_need_the_operators_permission_for_the_management_api() {
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    // A developer's own app cannot request it.
    let ours = app.client(ClientType::Confidential, |client| {
        client.scopes = Scopes::parse("read grantd:keys:read").expect("scopes");
    });
    let ours = ours.await;
    let (token, _) = flow::tokens(&browser, &app.confidential().await).await;
    app.get_as("/api/v1/keys", &token).await.problem(403, "insufficient_scope");
    let page =
        browser.follow(browser.get(&flow::authorize_url(&ours, &[("scope", "read grantd:keys:read")])).await).await;
    assert!(page.body.contains("See API keys"), "consent says it: {}", page.body);
    let code =
        flow::decide(&browser, &page, "allow").await.location().split_once("code=").expect("a code").1.to_owned();
    let code = code.split('&').next().unwrap_or_default().to_owned();
    // No token is valid for both APIs.
    flow::exchange(&app, &ours, &code).await.oauth_error("invalid_target");
    let ours_at = format!("{ISSUER}/api/v1");
    let tokens = flow::exchange_for(&app, &ours, &code, &ours_at).await;
    assert_eq!(tokens.status(200).text("scope"), "grantd:keys:read");
    let token = tokens.text("access_token");
    app.get_as("/api/v1/keys", &token).await.status(200);
    app.introspect(&token).await.inactive();
    app.get_as("/api/v1/projects", &token).await.problem(403, "insufficient_scope");
    // A client acting for itself has no user.
    let machine = app.client(ClientType::Confidential, |client| {
        client.scopes = Scopes::parse("grantd:keys:read").expect("scopes");
        client.grant_types = grantd::model::client::GrantType::ALL.to_vec();
    });
    let token = app.client_token(&machine.await).await;
    app.get_as("/api/v1/keys", &token).await.problem(403, "forbidden");
}

#[tokio::test]
async fn management_api_denies_by_default() {
    let app = TestApp::new().await;
    let document = app.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(document["scopes_supported"], json!(["read", "write"]));
    app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    for page in ["/settings/keys", "/apps/new"] {
        assert!(!browser.get(page).await.body.contains("grantd:"), "{page}");
    }
}
