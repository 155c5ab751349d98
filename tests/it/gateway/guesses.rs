//! Owns tests of limits on guesses at every endpoint but the sign-in page: guessing is slowed, valid credentials work.

use axum::{
    body::Body,
    http::{Request, header},
};
use grantd::model::{audit::Origin, secret::Secret};

use crate::harness::{Reply, TestApp, app::encode, flow};

/// Well-formed keys that do not exist.
fn guesses() -> impl Iterator<Item = String> {
    (0..).map(|n| Secret::with_checksum("gd_live_", &format!("{n:036}")).expose().to_owned())
}

async fn bearer(app: &TestApp, peer: &str, path: &str, key: &str) -> Reply {
    let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
    app.send_from(peer, request.body(Body::empty()).expect("a request")).await
}

async fn revoke(app: &TestApp, peer: &str, key: &str) -> Reply {
    let request = Request::post("/oauth/revoke").header(header::AUTHORIZATION, format!("Bearer {key}"));
    app.send_from(peer, request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn scanning_caller_is_limited_but_active_tokens_are_answered() {
    // THREATS: IN10 RL1
    let app = TestApp::new().await;
    let other = app.api("Other API", "https://other.example.test", &["other"]).await;
    let user = app.user("alice@example.com").await;
    let (_, known) = app.key(&user, "read").await;
    let (id, ended) = app.key(&user, "read").await;
    app.introspect(&known).await.active();
    app.app.store.revoke_key(app.now(), Origin::default(), id, None).await.expect("revoked");
    // An expired credential is not a guess.
    for _ in 0..150 {
        app.introspect(&ended).await.inactive();
    }
    let mut guesses = guesses();
    for guess in guesses.by_ref().take(100) {
        app.introspect(&guess).await.inactive();
    }
    let mut guess = || guesses.next().expect("endless");
    let limited = app.introspect(&guess()).await;
    assert_eq!(limited.status(429).text("error"), "too_many_requests");
    assert_eq!(limited.header("retry-after"), "61");
    // A repeated guess that was once valid looks like any other.
    app.introspect(&ended).await.same_as(&limited);
    app.introspect("garbage").await.same_as(&limited);
    // Active keys are answered, cached or not, also next to guesses.
    let (_, cold) = app.key(&user, "read").await;
    app.introspect(&known).await.active();
    let both = app.post_as(&app.api, "/oauth/introspect", &[("tokens[]", &cold), ("tokens[]", &guess())]).await;
    let told = both.status(200).json();
    assert_eq!((&told["tokens"][0]["active"], &told["tokens"][1]["active"]), (&true.into(), &false.into()));
    let none = app.post_as(&app.api, "/oauth/introspect", &[("tokens[]", &guess()), ("tokens[]", &ended)]).await;
    none.status(429);
    // Other callers are not affected, and the limit ends.
    app.post_as(&other, "/oauth/introspect", &[("token", &guess())]).await.inactive();
    assert!(app.audit().await.contains(&"introspection_scan".to_owned()));
    app.advance(60);
    app.introspect(&guess()).await.inactive();
}

#[tokio::test]
async fn too_many_unknown_keys_cost_no_more_queries() {
    // THREATS: RL1 RL2 AK14
    let app = TestApp::with(&[("limits.unknown_credentials_per_address", "6")]).await;
    let user = app.user("alice@example.com").await;
    let (_, known) = app.key(&user, "read").await;
    let peer = "2001:db8:1:2:3::4";
    bearer(&app, peer, "/v1/users/me", &known).await.status(200);
    let mut guesses = guesses();
    let mut guess = || guesses.next().expect("endless");
    let gateway = "/gateway/verify/example-api";
    for path in ["/v1/users/me", gateway, "/health"] {
        bearer(&app, peer, path, &guess()).await.status(401);
        // What cannot be a key costs nothing and is not counted.
        bearer(&app, peer, path, "nonsense").await.status(401);
    }
    for _ in 0..2 {
        revoke(&app, peer, &guess()).await.status(200);
    }
    // A whole /64 is one sender, whatever its headers say.
    let spoofed = Request::get(gateway)
        .header(header::AUTHORIZATION, format!("Bearer {}", guess()))
        .header("x-forwarded-for", "203.0.113.9");
    app.send_from("2001:db8:1:2:ffff::", spoofed.body(Body::empty()).expect("a request")).await.status(401);
    app.database.run("ALTER TABLE api_keys RENAME TO hidden").await;
    // A request that reads the store now is answered 503.
    bearer(&app, "2001:db8:1:3::1", "/v1/users/me", &guess()).await.status(503);
    let limited = bearer(&app, peer, "/v1/users/me", &guess()).await;
    assert_eq!((limited.status(429).text("error"), limited.header("retry-after")), ("too_many_requests".into(), "61"));
    let limited = bearer(&app, "2001:db8:1:2::1", gateway, &guess()).await;
    assert_eq!(limited.status(429).text("error"), "rate_limit_exceeded");
    assert_eq!((limited.header("retry-after"), limited.header("x-auth-subject")), ("61", ""));
    revoke(&app, peer, &guess()).await.status(429);
    // What cannot be a key is refused as usual; a key accepted here before still works from the same address.
    bearer(&app, peer, gateway, "nonsense").await.status(401);
    app.database.run("ALTER TABLE hidden RENAME TO api_keys").await;
    bearer(&app, peer, gateway, &known).await.status(200);
    bearer(&app, peer, gateway, &guess()).await.status(429);
    app.advance(60);
    bearer(&app, peer, gateway, &guess()).await.status(401);
}

#[tokio::test]
async fn spellings_of_one_address_are_one_sender() {
    // THREATS: RL2
    let app = TestApp::with(&[("limits.unknown_credentials_per_address", "2")]).await;
    let mut guesses = guesses();
    for (peer, status) in
        [("198.51.100.7", 401), ("::ffff:198.51.100.7", 401), ("198.51.100.7", 429), ("198.51.100.8", 401)]
    {
        bearer(&app, peer, "/health", &guesses.next().expect("endless")).await.status(status);
    }
}

#[tokio::test]
async fn guesses_at_many_clients_count_for_their_sender() {
    // THREATS: CA12 RL1
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let own = [("grant_type", "client_credentials")];
    let guess = |n: usize| {
        let (app, name) = (&app, format!("client_{n}"));
        async move { app.post("/oauth/token", &[own[0], ("client_id", &name), ("client_secret", "x")]).await }
    };
    for n in 0..1000 {
        guess(n).await.oauth_error("invalid_client");
    }
    let limited = guess(1000).await;
    assert_eq!((limited.status(429).text("error"), limited.header("retry-after")), ("too_many_requests".into(), "901"));
    app.post_as(&client, "/oauth/token", &own).await.status(200);
    let elsewhere = Request::post("/oauth/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let form = [own[0], ("client_id", "client_1"), ("client_secret", "x")];
    let elsewhere = elsewhere.body(encode(&form)).expect("a request");
    app.send_from("203.0.113.9", elsewhere).await.oauth_error("invalid_client");
}

#[tokio::test]
async fn unredeemed_codes_are_limited() {
    // THREATS: RL1
    let app = TestApp::with(&[("limits.unredeemed_codes_per_user", "3")]).await;
    for email in ["ada@example.com", "bob@example.com"] {
        app.user(email).await;
    }
    let client = app.confidential().await;
    let (ada, bob) = (app.browser(), app.browser());
    ada.log_in("ada@example.com").await;
    bob.log_in("bob@example.com").await;
    // Redeemed codes are not counted.
    for _ in 0..5 {
        flow::tokens(&ada, &client).await;
    }
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(flow::code(&ada, &client).await);
    }
    let rows = || app.database.column("SELECT COUNT(*) FROM grants");
    let before = rows().await;
    let limited = flow::authorize(&ada, &client, &[]).await;
    limited.page(429);
    assert_eq!((limited.header("retry-after"), rows().await), ("901", before));
    flow::code(&bob, &client).await;
    flow::exchange(&app, &client, &codes[0]).await.status(200);
    flow::code(&ada, &client).await;
    flow::authorize(&ada, &client, &[]).await.page(429);
    app.advance(900);
    flow::code(&ada, &client).await;
}
