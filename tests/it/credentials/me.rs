//! Owns tests of `/v1/users/me` and `/health`, and of how a key may be sent: AK4, AK7, AK13.

use axum::{
    body::Body,
    http::{Request, header},
};
use data_encoding::BASE64;
use grantd::model::audit::Origin;
use serde_json::{Value, json};

use crate::harness::{Captured, Reply, TestApp, flow};

async fn get_with(app: &TestApp, path: &str, headers: &[(&str, String)]) -> Reply {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, value));
    app.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn self_endpoints_describe_keys_and_tokens() {
    // THREATS: AK7 AK12
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, _) = flow::tokens(&browser, &client).await;
    let (id, key) = app.key_with(&user, "read", |key| key.expires_in_seconds = Some(60)).await;
    let reply = app.get_as("/v1/users/me", &key).await;
    reply.status(200);
    assert_eq!(
        reply.json(),
        json!({
            "id": user, "name": "alice", "plan": "pro", "credential": "api_key", "scope": "read", "client_id": null,
            "key": { "id": id, "name": "Test key", "environment": "live" },
            "expires_at": app.now().plus_seconds(60).rfc3339(),
        })
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    let reply = app.get_as("/v1/users/me", &access).await;
    assert_eq!(
        reply.json(),
        json!({
            "id": user, "name": null, "plan": "pro", "credential": "access_token", "scope": "read write",
            "client_id": client.id, "key": null, "expires_at": app.now().plus_seconds(3600).rfc3339(),
        })
    );
    let token = app.client_token(&client).await;
    let told = app.get_as("/v1/users/me", &token).await.json();
    assert_eq!((&told["id"], &told["name"], &told["plan"]), (&json!(client.id), &Value::Null, &json!("pro")));
    for credential in [&key, &access] {
        let reply = app.get_as("/health", credential).await;
        assert_eq!(
            reply.json(),
            json!({ "status": "healthy", "authenticated": true, "user": { "id": user, "plan": "pro" } })
        );
    }
    let reply = app.get("/health").await;
    reply.status(200);
    assert_eq!(reply.json(), json!({ "status": "healthy", "authenticated": false }));
    // Expiry is enforced everywhere, cached or not.
    app.advance(60);
    app.introspect(&key).await.inactive();
    app.get_as("/v1/users/me", &key).await.status(401);
    app.get_as("/health", &key).await.status(401);
    app.advance(3540);
    let reply = app.get_as("/v1/users/me", &access).await;
    reply.status(401);
    assert_eq!(reply.json(), json!({ "error": "token_expired", "message": "The access token has expired." }));
}

#[tokio::test]
async fn keys_in_urls_are_refused_and_not_logged() {
    // THREATS: AK4
    let app = TestApp::new().await;
    let log = Captured::start();
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    for path in ["/v1/users/me", "/health"] {
        for name in ["api_key", "apikey", "access_token", "key", "token", "a=b&api_key", "API_KEY", "api%5Fkey"] {
            for with_header in [false, true] {
                let target = format!("{path}?{name}={key}");
                let bearer = (header::AUTHORIZATION.as_str(), format!("Bearer {key}"));
                let headers = if with_header { vec![bearer] } else { Vec::new() };
                let reply = get_with(&app, &target, &headers).await;
                reply.status(400);
                assert_eq!(reply.header("www-authenticate"), r#"Bearer realm="grantd", error="invalid_request""#);
                assert_eq!(
                    reply.json(),
                    json!({
                        "error": "invalid_request",
                        "message": "Credentials belong in the Authorization header, not in the URL. Revoke this one.",
                    })
                );
            }
        }
    }
    for path in ["/oauth/introspect", "/oauth/revoke", "/oauth/token"] {
        let reply = app.post_as(&app.api, &format!("{path}?token={key}"), &[("token", &key)]).await;
        reply.oauth_error("invalid_request");
        assert!(!reply.body.contains(&key));
    }
    // Other query parameters are not taken for a key.
    app.get_as("/v1/users/me?verbose=1&keyboard=x", &key).await.status(200);
    assert!(app.audit().await.contains(&"credential_in_url".to_owned()));
    assert!(log.text().contains("request refused"), "the log is captured");
    assert!(!log.text().contains(&key));
    assert!(!app.database.dump().await.contains(&key));
}

#[tokio::test]
async fn keys_are_accepted_in_one_place_only() {
    // THREATS: AK7
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let right = app.get_as("/v1/users/me", &key).await;
    right.status(200);
    let basic = |text: String| format!("Basic {}", BASE64.encode(text.as_bytes()));
    let missing = app.get("/v1/users/me").await;
    missing.status(401);
    assert_eq!(missing.header("www-authenticate"), r#"Bearer realm="grantd""#, "RFC 6750 §3.1: no code without a try");
    assert_eq!(
        missing.json(),
        json!({ "error": "missing_api_key", "message": "No API key provided in the Authorization header." })
    );
    for (name, value) in [
        ("x-api-key", key.clone()),
        ("api-key", key.clone()),
        ("x-auth-token", key.clone()),
        ("cookie", format!("api_key={key}; __Host-grantd_session={key}")),
        ("proxy-authorization", format!("Bearer {key}")),
    ] {
        get_with(&app, "/v1/users/me", &[(name, value)]).await.same_as(&missing);
    }
    for value in [
        basic(format!("{id}:{key}")),
        basic(format!("{key}:")),
        basic(format!(":{key}")),
        key.clone(),
        format!("Token {key}"),
        format!("Bearer  {key}"),
        format!("Bearer {key} "),
        format!("Bearer {key},{key}"),
        format!("Bearer\t{key}"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer \"{key}\""),
    ] {
        let reply = get_with(&app, "/v1/users/me", &[("authorization", value.clone())]).await;
        assert_eq!(reply.status.as_u16(), 401, "{value}");
        assert_eq!(reply.json()["error"], "invalid_api_key", "{value}");
        assert!(!reply.body.contains(&key));
    }
    let twice = [("authorization", format!("Bearer {key}")), ("authorization", format!("Bearer {key}"))];
    get_with(&app, "/v1/users/me", &twice).await.status(401);
    // An unsupported header does not affect the supported one.
    let both = [("authorization", format!("bearer {key}")), ("x-api-key", "gd_live_other".to_owned())];
    get_with(&app, "/v1/users/me", &both).await.same_as(&right);
}

#[tokio::test]
async fn reasons_of_refusals_are_only_logged() {
    // THREATS: AK13
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let bob = app.user("bob@example.com").await;
    let (revoked_id, revoked) = app.key(&user, "read").await;
    let (_, expired) = app.key_with(&user, "read", |key| key.expires_in_seconds = Some(1)).await;
    let (_, disabled) = app.key(&bob, "read").await;
    let (gone, unknown) = app.key(&user, "read").await;
    app.app.store.revoke_key(app.now(), Origin::default(), revoked_id, None).await.expect("revoked");
    app.app.store.set_user_active(app.now(), Origin::default(), bob, false).await.expect("disabled");
    app.database.run(&format!("DELETE FROM api_keys WHERE id = '{gone}'")).await;
    app.advance(1);
    let mut wrong = unknown.clone();
    wrong.replace_range(10..11, if &wrong[10..11] == "a" { "b" } else { "a" });
    let refusal = app.get_as("/v1/users/me", "gd_live_nothing").await;
    refusal.status(401);
    assert_eq!(refusal.json(), json!({ "error": "invalid_api_key", "message": "The API key provided is invalid." }));
    // A key's state is read with its row in one query by digest, so an expired key costs what an unknown one costs.
    for key in [&revoked, &expired, &disabled, &unknown, &wrong] {
        app.get_as("/v1/users/me", key).await.same_as(&refusal);
        app.get_as("/health", key).await.same_as(&refusal);
        app.introspect(key).await.inactive();
    }
    app.app.background.flush().await.expect("flushed");
    let entries = app.entries(200).await;
    for event in ["credential", "introspect"] {
        let mut reasons: Vec<&str> =
            entries.iter().filter(|entry| entry.event == event).filter_map(|entry| entry.reason.as_deref()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons, ["disabled", "expired", "revoked", "unknown"], "{event}");
    }
}
