//! Owns tests of reading requests and of errors: HX9, HX2, Idempotency-Key, RFC 9457.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::json;

use super::{Caller, EVERYTHING};
use crate::harness::{Reply, TestApp};

#[tokio::test]
async fn ambiguous_bodies_are_refused_and_create_nothing() {
    // THREATS: HX9
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let deep = format!(r#"{{"scopes":{}"read"{}}}"#, "[".repeat(1000), "]".repeat(1000));
    for body in [
        r#"{"scopes":["read"],"scopes":["write"]}"#,
        r#"{"scopes":["read"],"SCOPES":["write"]}"#,
        r#"{"scopes":["read"],"expires_in":1e99}"#,
        r#"{"scopes":["read"],"expires_in":99999999999999999999}"#,
        r#"{"scopes":["read"],"expires_in":"60"}"#,
        r#"{"scopes":"read"}"#,
        r#"{"scopes":["read"]} {}"#,
        r#"{"scopes":["read"],"name":"a\u0000b"}"#,
        r#"[null,"name",["read"]]"#,
        "null",
        "{",
        &deep,
    ] {
        alice.send(Method::POST, "/keys", &[], Some(body)).await.problem(400, "invalid_request");
    }
    assert_eq!(alice.get("/keys").await.ids().len(), 1);
    let form = Request::post("/api/v1/keys")
        .header(header::AUTHORIZATION, format!("Bearer {}", alice.key))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("scopes=read"));
    app.send(form.expect("a request")).await.problem(415, "unsupported_media_type");
    let large = json!({ "scopes": ["read"], "name": "x".repeat(200_000) });
    alice.post("/keys", large).await.problem(413, "content_too_large");
}

#[tokio::test]
async fn errors_are_problem_documents() {
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    alice.get("/nothing").await.problem(404, "not_found");
    alice.get("/keys/a%20b").await.problem(404, "not_found");
    alice.get("/keys/%00").await.problem(404, "not_found");
    let reply = alice.send(Method::DELETE, "/keys", &[], None).await;
    reply.problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), "GET,HEAD,POST");
    alice.post("/projects", json!({ "name": "Harbor" })).await.status(201);
    let taken = alice.post("/projects", json!({ "name": "Harbor" })).await.problem(409, "conflict");
    assert_eq!(taken["detail"], "a project with this name already exists");
    for _ in 0..100 {
        alice.get("/keys").await;
    }
    let reply = alice.get("/keys").await;
    reply.problem(429, "too_many_requests");
    assert!(!reply.header("retry-after").is_empty());
    app.advance(1);
    alice.get("/keys").await.status(200);
}

#[tokio::test]
async fn responses_do_not_depend_on_the_host_header() {
    // THREATS: HX2
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let headers = [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("x-request-id", "req_1")];
    let there = alice.send(Method::GET, "/nothing", &headers, None).await;
    let here = alice.send(Method::GET, "/nothing", &headers[2..], None).await;
    there.problem(404, "not_found");
    there.same_as(&here);
}

#[tokio::test]
async fn repeated_request_creates_once_and_replays_the_response() {
    // THREATS: AK2
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let body = json!({ "scopes": ["read"], "name": "once" });
    let first = alice.once("order-7", "/keys", body.clone()).await;
    assert_eq!(first.status(201).header("idempotency-replayed"), "");
    let again = alice.once("order-7", "/keys", body.clone()).await;
    assert_eq!((again.status(201).header("idempotency-replayed"), &again.body), ("true", &first.body));
    let older = alice.send(Method::POST, "/keys", &[("x-idempotency-key", "order-7")], Some(&body.to_string())).await;
    assert_eq!(older.body, first.body);
    assert_eq!(alice.get("/keys").await.ids().len(), 2);
    for (target, body) in [("/keys", json!({ "scopes": ["write"] })), ("/projects", json!({ "name": "x" }))] {
        alice.once("order-7", target, body).await.problem(422, "idempotency_mismatch");
    }
    // The stored key is encrypted.
    let key = first.text("key");
    let file = app.database.dir.path().join("grantd.db");
    if !app.database.is_postgres() {
        for end in ["", "-wal"] {
            let bytes = std::fs::read(format!("{}{end}", file.display())).expect("a database");
            assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
        }
    }
    // Names are per user and per key.
    let bob = Caller::new(&app, "bob", EVERYTHING).await;
    assert_ne!(bob.once("order-7", "/keys", body.clone()).await.status(201).text("id"), first.text("id"));
    let (_, other) = app.key(&alice.user, EVERYTHING).await;
    let other = Caller { app: &app, user: alice.user.clone(), key_id: String::new(), key: other };
    assert_ne!(other.once("order-7", "/keys", body.clone()).await.status(201).text("id"), first.text("id"));
    // Replacing is idempotent too, and errors are not stored.
    let id = first.text("id");
    let rotated = alice.once("r", &format!("/keys/{id}/rotate"), json!({})).await;
    assert_eq!(alice.once("r", &format!("/keys/{id}/rotate"), json!({})).await.body, rotated.status(201).body);
    alice.once("bad", "/keys", json!({ "scopes": [] })).await.problem(400, "invalid_scope");
    alice.once("bad", "/keys", json!({ "scopes": ["read"] })).await.status(201);
    for (one, two) in [("", ""), ("a", "b"), ("a b", "a b")] {
        let headers = [("idempotency-key", one), ("x-idempotency-key", two)];
        alice.send(Method::POST, "/keys", &headers, Some(&body.to_string())).await.problem(400, "invalid_request");
    }
    let long = "x".repeat(256);
    alice.once(&long, "/keys", body.clone()).await.problem(400, "invalid_request");
    // A day later it is a new request.
    app.advance(86_401);
    assert_ne!(alice.once("order-7", "/keys", body).await.status(201).text("id"), first.text("id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_repeats_create_once() {
    let app = TestApp::new().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let body = json!({ "scopes": ["read"], "name": "twin" });
    let ask = || alice.once("twin", "/keys", body.clone());
    let replies: [Reply; 6] = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask()).into();
    for reply in &replies {
        assert_eq!(reply.status(201).body, replies[0].body);
    }
    assert_eq!(alice.get("/keys").await.ids().len(), 2);
}
