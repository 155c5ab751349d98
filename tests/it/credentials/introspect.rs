//! Owns tests of what `/oauth/introspect` answers about a credential: IN4, IN7, IN8.

use grantd::model::audit::Origin;
use serde_json::{Value, json};

use super::{claims, members, signed};
use crate::harness::{ISSUER, TestApp, app::API, flow};

#[tokio::test]
async fn invalid_tokens_all_get_the_same_response() {
    // THREATS: IN4
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let user = app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let code = flow::code(&browser, &client).await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let (key_id, key) = app.key(&user, "read").await;
    let (_, short_key) = app.key_with(&user, "read", |key| key.expires_in_seconds = Some(5)).await;
    let mut ended = claims(&app, &client);
    ended["exp"] = json!(app.now().seconds());
    let (ended, ok) = (signed(&app, &ended), signed(&app, &claims(&app, &client)));
    for alive in [&access, &key, &short_key, &ok] {
        app.introspect(alive).await.active();
    }
    app.post_as(&client, "/oauth/revoke", &[("token", &access)]).await.status(200);
    app.app.store.revoke_key(app.now(), Origin::default(), key_id, None).await.expect("revoked");
    app.advance(5);

    // The responses are identical, headers included. What cannot be a credential by its form is refused
    // without a query; everything else costs one lookup, whatever it finds.
    let unknown = app.introspect("unknown").await;
    unknown.inactive();
    assert_eq!((unknown.header("content-type"), unknown.header("cache-control")), ("application/json", "no-store"));
    let (long, dots) = ("x".repeat(60_000), ".".repeat(10_000));
    let (cut, unicode) = (&key[..key.len() - 1], "\u{1F511}\u{0}\u{202E}ключ");
    let flipped = swap_case(&key);
    let secret = client.secret.clone().expect("a secret");
    for dead in [
        &ended,
        &access,
        &key,
        &short_key,
        cut,
        &flipped,
        &code,
        &refresh,
        &secret,
        &long,
        &dots,
        unicode,
        " ",
        "null",
        "Bearer x",
        "eyJ",
        "eyJ.eyJ.x",
        "../../etc/passwd",
        "' OR 1=1 --",
    ] {
        app.introspect(dead).await.same_as(&unknown);
    }
    app.introspect("").await.oauth_error("invalid_request");
    app.post_as(&app.api, "/oauth/introspect", &[]).await.oauth_error("invalid_request");
    // Above the body limit nothing is read, so nothing can be said about the token.
    let reply = app.introspect(&"x".repeat(1 << 20)).await;
    reply.status(413);
    assert_eq!(reply.json()["error"], "content_too_large");
}

fn swap_case(text: &str) -> String {
    text.chars().map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
}

#[tokio::test]
async fn token_and_key_responses_have_one_shape_without_private_data() {
    // THREATS: IN7
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let user = app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, _) = flow::tokens(&browser, &client).await;
    let (key_id, key) = app.key_with(&user, "read", |key| key.expires_in_seconds = Some(86_400)).await;
    let (now, of_token) = (app.now().seconds(), app.introspect(&access).await);
    let jti = of_token.text("jti");
    // A test's clock is at a full hour.
    let left = json!({ "limit": 10_000, "remaining": 10_000, "reset": now + 3600, "exceeded": false });
    assert_eq!(
        of_token.active(),
        json!({
            "active": true, "scope": "read write", "client_id": client.id, "username": "alice", "sub": user, "aud": API,
            "iss": ISSUER, "iat": now, "exp": now + 3600, "jti": jti, "token_type": "Bearer",
            "credential": "access_token", "plan": "pro", "rate_limit": left, "cache_until": now + 1,
        })
    );
    let of_key = app.introspect(&key).await;
    assert_eq!(
        of_key.active(),
        json!({
            "active": true, "scope": "read", "username": "alice", "sub": user, "aud": API, "iss": ISSUER, "iat": now,
            "exp": now + 86_400, "jti": key_id, "token_type": "Bearer", "credential": "api_key", "key_id": key_id,
            "environment": "live", "plan": "pro", "rate_limit": left, "cache_until": now + 1,
        })
    );
    for reply in [&of_token, &of_key] {
        assert!(!reply.body.contains('@'), "{}", reply.body);
    }
    // A token of a client itself has no user, and a key without expiry has no `exp`.
    let token = app.client_token(&client).await;
    let answer = app.introspect(&token).await.active();
    assert_eq!(
        members(&answer),
        [
            "active",
            "aud",
            "cache_until",
            "client_id",
            "credential",
            "exp",
            "iat",
            "iss",
            "jti",
            "plan",
            "rate_limit",
            "scope",
            "sub",
            "token_type"
        ]
    );
    let (_, endless) = app.key(&user, "read").await;
    assert_eq!(app.introspect(&endless).await.active()["exp"], Value::Null);
}

#[tokio::test]
async fn cache_until_ends_with_the_credential() {
    // THREATS: IN8
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let mut short = claims(&app, &client);
    short["exp"] = json!(app.now().seconds() + 1);
    let token = signed(&app, &short);
    assert_eq!(app.introspect(&token).await.active()["cache_until"], short["exp"]);
    app.advance(1);
    app.introspect(&token).await.inactive();
}

#[tokio::test]
async fn disabling_user_client_or_api_ends_the_credential() {
    // THREATS: IN8
    let app = TestApp::new().await;
    let store = &app.app.store;
    let client = app.confidential().await;
    let user = app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let (key_id, key) = app.key(&user, "read").await;
    let own = app.client_token(&client).await;
    let all = [&access, &key, &own];
    for alive in all {
        app.introspect(alive).await.active();
    }

    store.set_user_active(app.now(), Origin::default(), user.clone(), false).await.expect("disabled");
    app.introspect(&access).await.inactive();
    app.introspect(&key).await.inactive();
    app.introspect(&own).await.active();
    flow::refresh(&app, &client, &refresh).await.oauth_error("invalid_grant");
    store.set_user_active(app.now(), Origin::default(), user, true).await.expect("enabled");
    for alive in all {
        app.introspect(alive).await.active();
    }

    store.set_client_active(app.now(), Origin::default(), client.id.clone(), false).await.expect("disabled");
    app.introspect(&access).await.inactive();
    app.introspect(&own).await.inactive();
    app.introspect(&key).await.active();
    store.set_client_active(app.now(), Origin::default(), client.id.clone(), true).await.expect("enabled");
    app.introspect(&access).await.active();

    store.revoke_key(app.now(), Origin::default(), key_id, None).await.expect("revoked");
    app.introspect(&key).await.inactive();
    app.post_as(&client, "/oauth/revoke", &[("token", &refresh)]).await.status(200);
    app.introspect(&access).await.inactive();
    app.introspect(&own).await.active();
    store.delete_client(app.now(), Origin::default(), client.id, None).await.expect("deleted");
    app.introspect(&own).await.inactive();
}
