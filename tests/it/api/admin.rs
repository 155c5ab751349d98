//! Owns tests of administration by the management API: users, clients, APIs, rules, plans; and what owners may do.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Caller, EVERYTHING};
use crate::harness::{OAuthClient, TestApp};

#[tokio::test]
async fn only_administrators_manage_users_apis_and_plans() {
    // THREATS: SE14
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    for target in [
        "/users",
        &format!("/users/{}", alice.user),
        "/apis",
        "/apis/example-api",
        "/apis/example-api/routes",
        "/plans",
    ] {
        alice.get(target).await.problem(403, "forbidden");
    }
    alice.post("/users", json!({ "email": "x@example.com" })).await.problem(403, "forbidden");
    alice.patch(&format!("/users/{}", alice.user), json!({ "plan": "enterprise" })).await.problem(403, "forbidden");
    alice.post("/apis", json!({ "identifier": "https://x.example", "name": "x" })).await.problem(403, "forbidden");
    alice.post("/apis/example-api/routes", json!({ "path": "/", "public": true })).await.problem(403, "forbidden");
    alice.send(Method::DELETE, "/apis/example-api/routes/route_x", &[], None).await.problem(403, "forbidden");
    alice.send(Method::PUT, "/plans/free", &[], Some(r#"{"burst":9}"#)).await.problem(403, "forbidden");
    // An administrator's key with read scopes only cannot either.
    let admin = Caller::admin(&app, "grantd:users:read").await;
    admin.get("/users").await.status(200);
    admin.post("/users", json!({ "email": "x@example.com" })).await.problem(403, "insufficient_scope");
}

#[tokio::test]
async fn users_are_created_changed_and_disabled() {
    // THREATS: SE16 AK9
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let made = admin.post("/users", json!({ "email": "Bob@Example.com", "plan": "pro" })).await;
    let id = made.status(201).text("id");
    assert_eq!(
        (made.text("email"), made.text("name"), made.json()["admin"].clone()),
        ("bob@example.com".into(), "bob".into(), json!(false))
    );
    let form = [("email", "bob@example.com"), ("password", &made.text("password"))];
    app.browser().submit("/login", "/login", &form).await.status(303);
    admin.post("/users", json!({ "email": "bob@example.com" })).await.problem(409, "conflict");
    admin.post("/users", json!({ "email": "bob" })).await.problem(400, "invalid_request");
    for (password, why) in [("short", "at least 15 characters"), ("c@example.com c@example.com", "easy to guess")] {
        let refused = admin.post("/users", json!({ "email": "c@example.com", "password": password })).await;
        let detail = refused.problem(400, "invalid_request")["detail"].to_string();
        assert!(detail.contains(why), "{detail}");
    }
    admin.post("/users", json!({ "email": "c@example.com", "plan": "gold" })).await.problem(400, "invalid_request");
    // A key can neither create administrators nor change anybody's password.
    admin.post("/users", json!({ "email": "c@example.com", "admin": true })).await.problem(403, "forbidden");
    for body in
        [json!({ "admin": true }), json!({ "password": "another password" }), json!({ "email": "c@example.com" })]
    {
        admin.patch(&format!("/users/{id}"), body).await.problem(400, "invalid_request");
    }
    let (_, key) = app.key(&id, "read").await;
    let changed =
        admin.patch(&format!("/users/{id}"), json!({ "plan": "enterprise", "name": "Bobby", "active": false })).await;
    assert_eq!(
        (changed.status(200).text("plan"), changed.text("name"), changed.json()["active"].clone()),
        ("enterprise".into(), "Bobby".into(), json!(false))
    );
    app.introspect(&key).await.inactive();
    admin.patch(&format!("/users/{id}"), json!({ "active": true })).await.status(200);
    app.introspect(&key).await.active();
    admin.patch(&format!("/users/{}", admin.user), json!({ "active": false })).await.problem(409, "conflict");
    admin.get("/users/user_x").await.problem(404, "not_found");
    admin.patch("/users/user_x", json!({ "active": false })).await.problem(404, "not_found");
    assert_eq!(admin.get("/users?email=BOB@example.com").await.ids(), [id.as_str()]);
    assert_eq!(admin.get("/users?email=nobody@example.com").await.ids(), Vec::<String>::new());
    assert_eq!(admin.get("/users?plan=enterprise").await.ids(), [id.as_str()]);
    // The password is shown once.
    let body = json!({ "email": "once@example.com" });
    let first = admin.once("u", "/users", body.clone()).await;
    assert_eq!(admin.once("u", "/users", body).await.body, first.status(201).body);
}

#[tokio::test]
async fn users_manage_their_own_apps_and_administrators_all() {
    // THREATS: AK16 SE16
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let bob = Caller::new(&app, "bob", EVERYTHING).await;
    let body = json!({ "name": "App", "redirect_uris": ["https://a.example/cb"], "scopes": ["read"] });
    let made = alice.post("/clients", body.clone()).await;
    let id = made.status(201).text("id");
    assert_eq!((made.text("user"), made.text("type")), (alice.user.clone(), "confidential".to_owned()));
    let client = OAuthClient { id: id.clone(), secret: Some(made.text("client_secret")) };
    app.post_as(&client, "/oauth/revoke", &[("token", "x")]).await.status(200);
    for (member, value) in [
        ("first_party", json!(true)),
        ("grant_types", json!(["client_credentials"])),
        ("require_pkce", json!(false)),
        ("refresh_grace", json!(0)),
        ("auth_method", json!("client_secret_post")),
        ("user", json!(bob.user)),
        ("owner_id", json!(bob.user)),
        ("api", json!("api_x")),
        ("active", json!(true)),
    ] {
        let mut body = body.clone();
        body[member] = value;
        alice.post("/clients", body).await.problem(400, "invalid_request");
    }
    for bad in [json!(["http://a.example/cb"]), json!([]), json!(["https://a.example/*"])] {
        let mut body = body.clone();
        body["redirect_uris"] = bad;
        alice.post("/clients", body).await.problem(400, "invalid_request");
    }
    let mut reserved = body.clone();
    reserved["scopes"] = json!(["grantd:keys:read"]);
    alice.post("/clients", reserved).await.problem(400, "invalid_scope");
    let path = format!("/clients/{id}");
    for other in [&bob, &Caller::new(&app, "carol", EVERYTHING).await] {
        other.get(&path).await.problem(404, "not_found");
        other.patch(&path, json!({ "name": "mine" })).await.problem(404, "not_found");
        other.post(&format!("{path}/secret"), json!({})).await.problem(404, "not_found");
        other.send(Method::DELETE, &path, &[], None).await.problem(404, "not_found");
        assert!(other.get("/clients").await.ids().is_empty());
    }
    let changed = alice.patch(&path, json!({ "name": "Better", "scopes": ["read", "write"] })).await;
    assert_eq!(
        (changed.status(200).text("name"), changed.json()["scopes"].clone()),
        ("Better".to_owned(), json!(["read", "write"]))
    );
    assert_eq!(changed.json()["redirect_uris"], json!(["https://a.example/cb"]));
    alice.patch(&path, json!({ "active": false })).await.problem(400, "invalid_request");
    let rotated = alice.post(&format!("{path}/secret"), json!({ "overlap": 0 })).await;
    let newer = OAuthClient { id: id.clone(), secret: Some(rotated.status(201).text("client_secret")) };
    app.post_as(&client, "/oauth/revoke", &[("token", "x")]).await.status(401);
    app.post_as(&newer, "/oauth/revoke", &[("token", "x")]).await.status(200);
    let admin = Caller::admin(&app, EVERYTHING).await;
    assert!(admin.get("/clients").await.ids().contains(&id));
    assert_eq!(admin.get("/clients?user=alice@example.com").await.ids(), [id.as_str()]);
    assert_eq!(admin.patch(&path, json!({ "active": false })).await.status(200).json()["active"], false);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    app.post_as(&newer, "/oauth/token", &refresh).await.oauth_error("invalid_client");
    alice.send(Method::DELETE, &path, &[], None).await.status(204);
    alice.get(&path).await.problem(404, "not_found");
    // The resource server's client cannot be changed.
    let own = format!("/clients/{}", app.api.id);
    admin.send(Method::DELETE, &own, &[], None).await.problem(404, "not_found");
    alice.get(&own).await.problem(404, "not_found");
}

#[tokio::test]
async fn clients_cannot_exceed_the_key_that_creates_them() {
    // THREATS: AK6
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, "grantd:clients:read grantd:clients:write read").await;
    let machine = |scopes: Value| json!({ "name": "Machine", "grant_types": ["client_credentials"], "scopes": scopes });
    admin.post("/clients", machine(json!(["read"]))).await.status(201);
    admin.post("/clients", machine(json!(["write"]))).await.problem(403, "insufficient_scope");
    // It cannot change an existing client to exceed its own scopes either.
    let other = app.confidential().await;
    admin.post(&format!("/clients/{}/secret", other.id), json!({})).await.problem(403, "insufficient_scope");
    let app_of_people =
        |scopes: Value| json!({ "name": "App", "redirect_uris": ["https://a.example/cb"], "scopes": scopes });
    let made = admin.post("/clients", app_of_people(json!(["write"]))).await.status(201).text("id");
    admin.post("/clients", app_of_people(json!(["grantd:keys:write"]))).await.problem(403, "insufficient_scope");
    admin
        .patch(&format!("/clients/{made}"), json!({ "scopes": ["grantd:keys:write"] }))
        .await
        .problem(403, "insufficient_scope");
}

#[tokio::test]
async fn apis_scopes_and_rules_are_managed() {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let body = json!({
        "identifier": "https://orders.example", "name": "Orders API", "profile": "ensemble",
        "scopes": [{ "name": "orders", "description": "See orders" }],
    });
    let made = admin.post("/apis", body.clone()).await;
    assert_eq!((made.status(201).text("slug"), made.text("profile")), ("orders-api".to_owned(), "ensemble".to_owned()));
    let server = OAuthClient { id: made.text("client_id"), secret: Some(made.text("client_secret")) };
    app.post_as(&server, "/oauth/introspect", &[("token", "x")]).await.inactive();
    admin.post("/apis", body.clone()).await.problem(409, "conflict");
    for (member, value) in [
        ("identifier", json!("not a URI")),
        ("identifier", json!(format!("{}/api/v1", crate::harness::ISSUER))),
        ("slug", json!("grantd")),
        ("profile", json!("loud")),
        ("algorithm", json!("none")),
        ("access_token_seconds", json!(1)),
        ("client_id", json!("client_mine")),
        ("scopes", json!([{ "name": "a b", "description": "x" }])),
        ("scopes", json!([{ "name": "grantd:keys:write", "description": "x" }])),
        ("scopes", json!([{ "name": "read", "description": "another's" }])),
    ] {
        let mut body = json!({ "identifier": "https://new.example", "name": "New", "scopes": [] });
        body[member] = value.clone();
        admin.post("/apis", body).await.status(400);
    }
    assert_eq!(admin.get("/apis").await.ids().len(), 2);
    let scopes = admin.get("/scopes?limit=100").await.json();
    let names: Vec<&str> =
        scopes["items"].as_array().expect("items").iter().map(|s| s["name"].as_str().expect("a name")).collect();
    assert!(names.contains(&"orders") && names.contains(&"grantd:keys:read") && names.contains(&"read"));
    let routes = "/apis/orders-api/routes";
    let one = admin.post(routes, json!({ "method": "get", "path": "/v1/orders/{id}", "scopes": ["orders"] })).await;
    assert_eq!((one.status(201).text("method"), one.text("path")), ("GET".to_owned(), "/v1/orders/{id}".to_owned()));
    admin.post(routes, json!({ "path": "/open/*", "public": true })).await.status(201);
    assert_eq!(admin.get(routes).await.ids().len(), 2);
    for bad in [
        json!({ "path": "relative" }),
        json!({ "path": "/../x" }),
        json!({ "path": "/x", "method": "GET /" }),
        json!({ "path": "/x", "scopes": ["read"] }),
        json!({ "path": "/x", "scopes": ["orders"], "public": true }),
    ] {
        admin.post(routes, bad.clone()).await.status(400);
    }
    admin.post("/apis/nothing/routes", json!({ "path": "/" })).await.problem(404, "not_found");
    let id = one.text("id");
    admin.send(Method::DELETE, &format!("/apis/example-api/routes/{id}"), &[], None).await.problem(404, "not_found");
    admin.send(Method::DELETE, &format!("{routes}/{id}"), &[], None).await.status(204);
    admin.send(Method::DELETE, &format!("{routes}/{id}"), &[], None).await.problem(404, "not_found");
    assert_eq!(admin.get(routes).await.ids().len(), 1);
}

#[tokio::test]
async fn plans_are_listed_and_set() {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let set = async |name: &str, body: Value| {
        admin.send(Method::PUT, &format!("/plans/{name}"), &[], Some(&body.to_string())).await
    };
    assert_eq!(
        set("gold", json!({ "per_hour": 5, "burst": 2 })).await.status(200).json(),
        json!({ "name": "gold", "per_hour": 5, "burst": 2 })
    );
    set("gold", json!({ "burst": 3 })).await.status(200);
    let plans = admin.get("/plans").await.json();
    assert!(
        plans["items"].as_array().expect("plans").contains(&json!({ "name": "gold", "per_hour": null, "burst": 3 }))
    );
    for (name, body) in [
        ("gold", json!({ "burst": 0 })),
        ("gold", json!({ "burst": -1 })),
        ("gold", json!({ "burst": 1, "per_hour": 4_294_967_296_i64 })),
        ("%E2%80%AE", json!({ "burst": 1 })),
    ] {
        set(name, body).await.problem(400, "invalid_request");
    }
}
