//! Owns tests of who may use `/oauth/introspect`, and how: IN1, IN2, IN5, IN6, IN9.

use axum::{
    body::Body,
    http::{Request, header},
};
use grantd::model::audit::Origin;
use serde_json::json;

use super::introspect_as;
use crate::harness::{ISSUER, OAuthClient, TestApp, app::encode, flow};

#[tokio::test]
async fn only_authenticated_confidential_clients_may_introspect() {
    // THREATS: IN1
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let public = app.public().await;
    let valid = app.client_token(&client).await;
    let wrong = OAuthClient { secret: Some("gd_secret_wrong".to_owned()), ..app.api.clone() };
    let unknown = OAuthClient { id: "client_00000000000000000000".to_owned(), ..app.api.clone() };
    app.introspect(&valid).await.active();
    // Callers are refused before the token is looked at, so it can neither cost nor reveal anything.
    for caller in [&public, &wrong, &unknown] {
        let with_valid = introspect_as(&app, caller, &valid).await;
        with_valid.oauth_error("invalid_client");
        introspect_as(&app, caller, "garbage").await.same_as(&with_valid);
        assert_eq!(
            with_valid.json(),
            json!({ "error": "invalid_client", "error_description": "client authentication failed" })
        );
    }
    let nobody = app.post("/oauth/introspect", &[("token", &valid)]).await;
    nobody.oauth_error("invalid_client");
    app.post("/oauth/introspect", &[("token", "garbage")]).await.same_as(&nobody);
    introspect_as(&app, &wrong, &valid).await.same_as(&nobody);
}

#[tokio::test]
async fn token_is_inactive_for_other_apis_and_clients() {
    // THREATS: IN2
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let stranger = app.confidential().await;
    let other_api = app.api("Other API", "https://other.example.test", &["other"]).await;
    let user = app.user("alice@example.com").await;
    let token = app.client_token(&client).await;
    let (_, key) = app.key(&user, "read").await;
    for credential in [&token, &key] {
        app.introspect(credential).await.active();
        let told = introspect_as(&app, &other_api, credential).await;
        told.inactive();
        introspect_as(&app, &other_api, "garbage").await.same_as(&told);
        introspect_as(&app, &stranger, credential).await.inactive();
    }
    introspect_as(&app, &client, &token).await.active();
    introspect_as(&app, &client, &key).await.inactive();
}

#[tokio::test]
async fn response_depends_on_the_caller_even_if_cached() {
    // THREATS: IN9
    let app = TestApp::new().await;
    let other_api = app.api("Other API", "https://other.example.test", &["other"]).await;
    let third_api = app.api("Third API", "https://third.example.test", &["third"]).await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read other").await;
    // In every order, so that each response is once the first and once from the cache.
    for _ in 0..2 {
        introspect_as(&app, &third_api, &key).await.inactive();
        let answer = app.introspect(&key).await.active();
        assert_eq!((&answer["aud"], &answer["scope"]), (&json!("https://api.example.test"), &json!("read")));
        let answer = introspect_as(&app, &other_api, &key).await.active();
        assert_eq!((&answer["aud"], &answer["scope"]), (&json!("https://other.example.test"), &json!("other")));
    }
    app.app.store.revoke_key(app.now(), Origin::default(), id, None).await.expect("revoked");
    app.introspect(&key).await.inactive();
    introspect_as(&app, &other_api, &key).await.inactive();
}

#[tokio::test]
async fn response_to_the_client_lacks_what_only_the_api_learns_even_if_cached() {
    // THREATS: IN9
    let app = TestApp::new().await;
    let client = app.confidential().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (token, _) = flow::tokens(&browser, &client).await;
    let (api, own) = (app.introspect(&token).await.active(), introspect_as(&app, &client, &token).await.active());
    assert_eq!((&api["username"], &own["username"]), (&json!("alice"), &json!(null)));
    assert_eq!((&api["plan"], &own["plan"]), (&json!("pro"), &json!(null)));
    assert_eq!((&api["sub"], &api["jti"], &api["exp"]), (&own["sub"], &own["jti"], &own["exp"]));
    // Once more, now that both answers were given before.
    assert_eq!(introspect_as(&app, &client, &token).await.active(), own);
    assert_eq!(app.introspect(&token).await.active(), api);
}

#[tokio::test]
async fn request_has_one_shape_and_the_hint_is_ignored() {
    // THREATS: IN5
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let token = app.client_token(&client).await;
    let right = app.introspect(&token).await;
    right.active();
    for hint in ["refresh_token", "access_token", "api_key", "nonsense", ""] {
        let form = [("token", token.as_str()), ("token_type_hint", hint)];
        app.post_as(&app.api, "/oauth/introspect", &form).await.same_as(&right);
    }
    let request = |accept: &str| {
        Request::post("/oauth/introspect")
            .header(header::AUTHORIZATION, app.api.basic())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .header(header::ACCEPT, accept)
            .body(encode(&[("token", &token)]))
            .expect("a request")
    };
    for accept in ["application/token-introspection+jwt", "text/html", "*/*", "nonsense"] {
        app.send(request(accept)).await.same_as(&right);
    }
    assert_eq!((right.header("content-type"), right.header("cache-control")), ("application/json", "no-store"));

    let reply = app.get("/oauth/introspect").await;
    reply.status(405);
    assert_eq!((reply.header("allow"), reply.text("error_description")), ("POST", "use POST".to_owned()));
    let target = format!("/oauth/introspect?token={token}");
    let reply = app.post_as(&app.api, &target, &[]).await;
    reply.oauth_error("invalid_request");
    assert!(!reply.body.contains(&token));
    app.post_as(&app.api, &target, &[("token", &token)]).await.oauth_error("invalid_request");
    app.post_as(&app.api, "/oauth/introspect", &[("token", &token), ("token", &token)])
        .await
        .oauth_error("invalid_request");
    let json = Request::post("/oauth/introspect")
        .header(header::AUTHORIZATION, app.api.basic())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(json!({ "token": token }).to_string()))
        .expect("a request");
    app.send(json).await.status(415);
}

#[tokio::test]
async fn refresh_tokens_are_active_only_for_their_client() {
    // THREATS: IN6
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (client, other) = (app.confidential().await, app.confidential().await);
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (_, refresh_token) = flow::tokens(&browser, &client).await;

    app.introspect(&refresh_token).await.inactive();
    introspect_as(&app, &other, &refresh_token).await.inactive();
    let reply = introspect_as(&app, &client, &refresh_token).await;
    // It expires when unused, before its grant does.
    let exp = app.now().plus_seconds(app.app.config.lifetimes.refresh_idle_seconds).seconds();
    assert_eq!(
        reply.active(),
        json!({
            "active": true, "scope": "read write", "client_id": client.id, "sub": user, "iss": ISSUER, "exp": exp,
            "token_type": "refresh_token",
        })
    );
    let rotated = flow::refresh(&app, &client, &refresh_token).await.text("refresh_token");
    introspect_as(&app, &client, &refresh_token).await.inactive();
    introspect_as(&app, &client, &rotated).await.active();
    app.post_as(&client, "/oauth/revoke", &[("token", &rotated)]).await.status(200);
    introspect_as(&app, &client, &rotated).await.inactive();
}

#[tokio::test]
async fn batch_introspection_equals_single_introspections() {
    // THREATS: IN2 IN4
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let token = app.client_token(&client).await;
    let form = [("tokens[]", "garbage"), ("tokens[]", &token), ("tokens[]", "gd_rt_x")];
    let answers = app.post_as(&app.api, "/oauth/introspect", &form).await;
    answers.status(200);
    let alone = app.introspect(&token).await.json();
    assert_eq!(
        answers.json(),
        json!({ "tokens": [{ "active": false }, alone, { "active": false }] }),
        "{}",
        answers.body
    );
    let stranger = app.confidential().await;
    let answers = app.post_as(&stranger, "/oauth/introspect", &form).await;
    assert_eq!(answers.json(), json!({ "tokens": [{ "active": false }, { "active": false }, { "active": false }] }));
    let many = vec![("tokens[]", "garbage"); 101];
    app.post_as(&app.api, "/oauth/introspect", &many).await.oauth_error("invalid_request");
    app.post_as(&app.api, "/oauth/introspect", &[]).await.oauth_error("invalid_request");
}
