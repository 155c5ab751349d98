//! Owns tests of what a client's owner may change, on the page and by the management API, what a limited key may create,
//! and how long an old secret or key overlaps.

use axum::http::Method;
use grantd::{
    engine::new_key::NewKey,
    model::{
        client::{ClientType, GrantType},
        network::Networks,
        scope::Scopes,
    },
};
use serde_json::json;

use super::{Caller, EVERYTHING};
use crate::harness::{
    OAuthClient, TestApp,
    app::{CALLBACK, PASSWORD},
    flow::authorize_url,
};

const EVIL: &str = "https://evil.example/x";

/// A client of this user for client credentials, with scope `read`.
async fn machine(app: &TestApp, owner: &str) -> OAuthClient {
    app.client(ClientType::Confidential, |client| {
        client.owner_id = Some(owner.to_owned());
        client.grant_types = vec![GrantType::ClientCredentials];
        client.redirect_uris = Vec::new();
        client.scopes = Scopes::parse("read").expect("scopes");
    })
    .await
}

/// A first-party client of this user, with scope `read`.
async fn portal(app: &TestApp, owner: &str) -> OAuthClient {
    app.client(ClientType::Confidential, |client| {
        client.owner_id = Some(owner.to_owned());
        client.first_party = true;
        client.scopes = Scopes::parse("read").expect("scopes");
    })
    .await
}

async fn scopes(app: &TestApp, client: &OAuthClient) -> String {
    app.app.store.find_client(&client.id).await.expect("found").expect("a client").scopes.to_string()
}

#[tokio::test]
async fn owner_cannot_change_scopes_of_a_client_credentials_client() {
    // THREATS: CC2 SE16
    let app = TestApp::new().await;
    let mallory = Caller::new(&app, "mallory", EVERYTHING).await;
    let client = machine(&app, &mallory.user).await;
    let (path, page) = (format!("/clients/{}", client.id), format!("/apps/{}", client.id));
    let browser = app.browser();
    browser.log_in("mallory@example.com").await;
    // Right after signing in, and later with the password.
    for later in [0, 3600] {
        app.advance(later);
        let shown = browser.get(&page).await;
        assert!(!shown.body.contains("name=\"scope\""), "{}", shown.body);
        let fields = [("name", "Machine"), ("redirect_uris", ""), ("scope", "read"), ("scope", "write")];
        let all = [&fields[..], &[("password", PASSWORD)]].concat();
        browser.submit(&page, &page, &all).await.page(403);
        for fewer in [json!({ "scopes": ["read", "write"] }), json!({ "scopes": ["write"] })] {
            mallory.patch(&path, fewer).await.problem(403, "forbidden");
        }
        assert_eq!(scopes(&app, &client).await, "read");
    }
    let form = [("grant_type", "client_credentials"), ("scope", "write")];
    app.post_as(&client, "/oauth/token", &form).await.oauth_error("invalid_scope");
    // The owner may change its name; an administrator sets the rest.
    let fields = [("name", "Reader"), ("redirect_uris", ""), ("password", PASSWORD)];
    browser.submit(&page, &page, &fields).await.status(303);
    assert_eq!(mallory.get(&path).await.text("name"), "Reader");
    let admin = Caller::admin(&app, EVERYTHING).await;
    admin.patch(&path, json!({ "scopes": ["read", "write"] })).await.status(200);
}

#[tokio::test]
async fn owner_cannot_change_consent_details_of_a_first_party_client() {
    // THREATS: CM8 SE16
    let app = TestApp::new().await;
    let mallory = Caller::new(&app, "mallory", EVERYTHING).await;
    app.user("carol@example.com").await;
    let client = portal(&app, &mallory.user).await;
    let (path, page) = (format!("/clients/{}", client.id), format!("/apps/{}", client.id));
    let (browser, carol) = (app.browser(), app.browser());
    browser.log_in("mallory@example.com").await;
    carol.log_in("carol@example.com").await;
    assert!(!browser.get(&page).await.body.contains("name=\"redirect_uris\""));
    for (uri, scope) in [(EVIL, "read"), (CALLBACK, "write")] {
        let fields = [("name", "Test app"), ("redirect_uris", uri), ("scope", scope)];
        browser.submit(&page, &page, &fields).await.page(403);
        mallory.patch(&path, json!({ "redirect_uris": [uri], "scopes": [scope] })).await.problem(403, "forbidden");
    }
    mallory.patch(&path, json!({ "name": "Your Bank" })).await.problem(403, "forbidden");
    carol.get(&authorize_url(&client, &[("redirect_uri", EVIL)])).await.page(400);
    let reply = carol.get(&authorize_url(&client, &[("scope", "read write")])).await;
    assert!(reply.redirect_param("code").is_some());
    assert_eq!(scopes(&app, &client).await, "read");
    let admin = Caller::admin(&app, EVERYTHING).await;
    let moved = admin.patch(&path, json!({ "redirect_uris": [EVIL] })).await;
    assert_eq!(moved.status(200).json()["first_party"], true);
}

#[tokio::test]
async fn scopes_not_on_the_form_are_kept() {
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let client = app
        .client(ClientType::Confidential, |client| {
            client.owner_id = Some(alice.user.clone());
            client.scopes = Scopes::parse("read grantd:keys:read").expect("scopes");
        })
        .await;
    let page = format!("/apps/{}", client.id);
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let fields = [("name", "Better"), ("redirect_uris", CALLBACK), ("scope", "read"), ("scope", "write")];
    browser.submit(&page, &page, &fields).await.status(303);
    assert_eq!(scopes(&app, &client).await, "grantd:keys:read read write");
    let more = json!({ "scopes": ["read", "grantd:keys:read", "grantd:keys:write"] });
    alice.patch(&format!("/clients/{}", client.id), more).await.problem(400, "invalid_scope");
}

#[tokio::test]
async fn limited_key_cannot_manage_client_credentials_clients() {
    // THREATS: AK6 AK12
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let client = machine(&app, &admin.user).await;
    let project = admin.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    let project = app.app.store.find_project(&project).await.expect("found").expect("a project");
    let with = async |change: &dyn Fn(&mut NewKey)| {
        let (key_id, key) = app.key_with(&admin.user, EVERYTHING, |new| change(new)).await;
        Caller { app: &app, user: admin.user.clone(), key_id, key }
    };
    let here = Networks::parse("192.0.2.0/24").expect("networks");
    let machine = json!({ "name": "Machine", "grant_types": ["client_credentials"], "scopes": ["read"] });
    let people = json!({ "name": "App", "redirect_uris": [CALLBACK], "scopes": ["read"] });
    let secret = format!("/clients/{}/secret", client.id);
    for (what, bounded) in [
        ("expiry", with(&|new| new.expires_in_seconds = Some(300)).await),
        ("networks", with(&|new| new.networks = here.clone()).await),
        ("project", with(&|new| new.project = Some(project.clone())).await),
        ("environment", with(&|new| new.environment = Some("test".to_owned())).await),
    ] {
        // A session of that user could create keys without limits.
        let user = json!({ "email": format!("{what}@example.com"), "password": "a long enough passphrase" });
        bounded.post("/users", user).await.problem(403, "insufficient_scope");
        bounded.post("/clients", machine.clone()).await.problem(403, "insufficient_scope");
        bounded.post(&secret, json!({})).await.problem(403, "insufficient_scope");
        let more = json!({ "scopes": ["read", "write"] });
        bounded.patch(&format!("/clients/{}", client.id), more).await.problem(403, "insufficient_scope");
        // An app without users does not give its owner more access.
        let expected = if what == "project" { 403 } else { 201 };
        bounded.post("/clients", people.clone()).await.status(expected);
    }
    assert_eq!(scopes(&app, &client).await, "read");
    admin.post("/clients", machine).await.status(201);
    admin.post(&secret, json!({})).await.status(201);
}

#[tokio::test]
async fn limited_key_cannot_register_apis_or_rotate_their_secrets() {
    // THREATS: AK6
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let api = |name: &str| json!({ "name": name, "identifier": format!("https://{name}.example.com") });
    let secret = format!("/clients/{}/secret", app.api.id);
    let here = Networks::parse("192.0.2.0/24").expect("networks");
    let with = async |change: &dyn Fn(&mut NewKey)| {
        let (key_id, key) = app.key_with(&admin.user, EVERYTHING, |new| change(new)).await;
        Caller { app: &app, user: admin.user.clone(), key_id, key }
    };
    for bounded in
        [with(&|new| new.expires_in_seconds = Some(300)).await, with(&|new| new.networks = here.clone()).await]
    {
        bounded.post("/apis", api("orders")).await.problem(403, "insufficient_scope");
        bounded.post(&secret, json!({})).await.problem(403, "insufficient_scope");
    }
    let slugs: Vec<String> =
        app.app.store.catalog().await.expect("read").apis.into_iter().map(|api| api.slug).collect();
    assert_eq!(slugs, ["example-api"]);
    admin.post("/apis", api("orders")).await.status(201);
    admin.post(&secret, json!({})).await.status(201);
}

#[tokio::test]
async fn overlaps_of_secrets_and_keys_are_bounded() {
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let body = json!({ "name": "App", "redirect_uris": [CALLBACK], "scopes": ["read"] });
    let client = alice.post("/clients", body).await.status(201).text("id");
    let key = alice.post("/keys", json!({ "scopes": ["read"] })).await.status(201).text("id");
    for (path, most) in [(format!("/clients/{client}/secret"), 604_800), (format!("/keys/{key}/rotate"), 2_592_000)] {
        alice.post(&path, json!({ "overlap": most + 1 })).await.problem(400, "invalid_request");
        alice.post(&path, json!({ "overlap": -1 })).await.problem(400, "invalid_request");
        alice.post(&path, json!({ "overlap": most })).await.status(201);
    }
}

#[tokio::test]
async fn project_key_is_limited_to_its_project() {
    // THREATS: AK6 AK16
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let project = admin.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    let other = admin.post("/projects", json!({ "name": "Grid" })).await.status(201).text("id");
    let of = app.app.store.find_project(&project).await.expect("found");
    let (key_id, key) = app.key_with(&admin.user, EVERYTHING, |new| new.project = of).await;
    let inside = Caller { app: &app, user: admin.user.clone(), key_id: key_id.clone(), key };
    assert_eq!(inside.get("/keys").await.ids(), [key_id.as_str()]);
    assert_eq!(inside.get("/projects").await.ids(), [project.as_str()]);
    inside.get(&format!("/keys/{key_id}")).await.status(200);
    inside.get(&format!("/keys/{key_id}/usage")).await.status(200);
    for target in [
        format!("/keys?project={other}"),
        format!("/keys/{}", admin.key_id),
        format!("/keys/{}/usage", admin.key_id),
        format!("/projects/{other}"),
        "/usage".to_owned(),
        "/denials".to_owned(),
        "/clients".to_owned(),
        "/users".to_owned(),
        "/apis".to_owned(),
        "/plans".to_owned(),
        "/audit".to_owned(),
    ] {
        inside.get(&target).await.problem(403, "insufficient_scope");
    }
    let body = json!({ "name": "App", "redirect_uris": [CALLBACK], "scopes": ["read"] });
    inside.post("/clients", body).await.problem(403, "insufficient_scope");
    inside.post("/users", json!({ "email": "x@example.com" })).await.problem(403, "insufficient_scope");
    inside.send(Method::PUT, "/plans/free", &[], Some(r#"{"burst":9}"#)).await.problem(403, "insufficient_scope");
}

#[tokio::test]
async fn test_key_cannot_change_or_revoke_live_keys() {
    // THREATS: AK6
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let networks = Networks::parse("192.0.2.0/24").expect("networks");
    let (live, _) = app.key_with(&alice.user, "read", |new| new.networks = networks).await;
    let test = async || app.key_with(&alice.user, EVERYTHING, |new| new.environment = Some("test".to_owned())).await;
    let ((key_id, key), (another, _)) = (test().await, test().await);
    let project = alice.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    let tester = Caller { app: &app, user: alice.user.clone(), key_id, key };
    tester.patch(&format!("/keys/{live}"), json!({ "networks": [] })).await.problem(403, "insufficient_scope");
    for way in ["revoke", "rotate", "regenerate"] {
        tester.post(&format!("/keys/{live}/{way}"), json!({})).await.problem(403, "insufficient_scope");
    }
    let disable = json!({ "disabled": true });
    tester.patch(&format!("/projects/{project}"), disable).await.problem(403, "insufficient_scope");
    let kept = app.app.store.find_key(&live).await.expect("found").expect("a key");
    assert!(kept.revoked_at.is_none() && !kept.networks.is_any());
    tester.patch(&format!("/keys/{another}"), json!({ "name": "Mine" })).await.status(200);
    tester.post(&format!("/keys/{another}/revoke"), json!({})).await.status(200);
}
