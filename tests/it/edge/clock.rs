//! Owns tests of time: what has expired stays expired, purged or not, and a wrong clock is noticed: ST6, ST7.

use grantd::{
    app::App,
    engine::clients::new_secret,
    model::{audit::Origin, clock::Clock},
};

use crate::{
    credentials::introspect_as,
    harness::{
        TestApp,
        app::{PASSWORD, START},
        flow,
    },
};

const WEEK: i64 = 7 * 86_400;

#[tokio::test]
async fn server_with_a_clock_far_behind_does_not_start() {
    // THREATS: ST6
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let start = async |seconds: i64| {
        App::new(app.app.config.clone(), app.master.clone(), Clock::manual(START.plus_seconds(seconds))).await
    };
    for behind in [-301, -3600, -86_400] {
        let error = start(behind).await.expect_err("too far behind").to_string();
        assert!(error.contains("correct the clock") && error.contains("restore an older backup"), "{error}");
    }
    for near in [-299, 0, 3600, WEEK] {
        start(near).await.expect("a start");
    }
}

#[tokio::test]
async fn clock_jump_ahead_expires_things_consistently() {
    // THREATS: ST6
    let app = TestApp::with(&[("limits.login_failures_per_account", "2")]).await;
    let user = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let code = flow::code(&browser, &client).await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let rotated = flow::refresh(&app, &client, &refresh).await.text("refresh_token");
    let stranger = app.browser();
    let fields = [("email", "alice@example.com"), ("password", "wrong password")];
    for status in [401, 401, 429] {
        let reply = stranger.submit("/login", "/login", &fields).await;
        reply.status(status);
        assert_eq!(reply.headers.contains_key("retry-after"), status == 429);
    }
    let (_, key) = app.key_with(&user, "read", |key| key.expires_in_seconds = Some(60)).await;
    app.advance(3600);
    // The lock-out, the code and the short key have ended, and the rotated token is still known as used.
    stranger.submit("/login", "/login", &[("email", "alice@example.com"), ("password", PASSWORD)]).await.status(303);
    flow::exchange(&app, &client, &code).await.oauth_error("invalid_grant");
    app.introspect(&access).await.inactive();
    app.introspect(&key).await.inactive();
    let fresh = flow::refresh(&app, &client, &rotated).await;
    assert_eq!(fresh.json()["expires_in"], 3600);
    app.advance(3600);
    flow::refresh(&app, &client, &refresh).await.oauth_error("invalid_grant");
    flow::refresh(&app, &client, &fresh.text("refresh_token")).await.oauth_error("invalid_grant");
}

#[tokio::test]
async fn grant_expiry_bounds_every_lifetime() {
    // THREATS: ST6
    let app = TestApp::with(&[("lifetimes.grant_seconds", "5000")]).await;
    app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (_, mut refresh) = flow::tokens(&browser, &client).await;
    for expires_in in [3500, 2000, 500] {
        app.advance(1500);
        let reply = flow::refresh(&app, &client, &refresh).await;
        assert_eq!(reply.json()["expires_in"], expires_in);
        refresh = reply.text("refresh_token");
    }
    app.advance(499);
    let reply = flow::refresh(&app, &client, &refresh).await;
    assert_eq!(reply.json()["expires_in"], 1);
    app.advance(1);
    flow::refresh(&app, &client, &reply.text("refresh_token")).await.oauth_error("invalid_grant");
}

#[tokio::test]
async fn expired_rows_are_refused_before_they_are_purged() {
    // THREATS: ST7
    let app = TestApp::with(&[("lifetimes.grant_seconds", "3600"), ("lifetimes.session_seconds", "3600")]).await;
    let user = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let waiting = browser.get(&flow::authorize_url(&client, &[])).await.location();
    browser.get(&waiting).await.status(200);
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let (_, key) = app.key_with(&user, "read", |key| key.expires_in_seconds = Some(3600)).await;
    let own = app.client_token(&client).await;
    let (_, kept) = new_secret(app.now());
    let ends = app.now().plus_seconds(3600);
    let rotated = app.app.store.rotate_secret(app.now(), Origin::default(), client.id.clone(), None, kept, ends).await;
    assert!(rotated.expect("rotated"));
    for alive in [&access, &key, &own] {
        app.introspect(alive).await.active();
    }
    introspect_as(&app, &client, &refresh).await.active();
    browser.get("/settings/keys").await.status(200);

    app.advance(WEEK);
    for table in ["grants", "sessions", "interactions", "api_keys", "client_secrets"] {
        let count = app.database.column(&format!("SELECT COUNT(*) FROM {table}")).await;
        assert_ne!(count, ["0"], "{table} was purged: this test proves nothing");
    }
    let refused = async |when: &str| {
        for dead in [&access, &key, &own] {
            assert_eq!(app.introspect(dead).await.body, r#"{"active":false}"#, "{when}");
        }
        app.get_as("/v1/users/me", &key).await.status(401);
        assert_eq!(browser.get("/settings/keys").await.location(), "/login", "{when}");
        browser.get(&waiting).await.page(400);
        let old = [("grant_type", "client_credentials")];
        app.post_as(&client, "/oauth/token", &old).await.oauth_error("invalid_client");
    };
    refused("before the purge").await;
    assert_ne!(app.database.column("SELECT COUNT(*) FROM grants").await, ["0"]);
    app.app.store.purge_expired(app.now(), 1).await.expect("purged");
    assert_eq!(app.database.column("SELECT COUNT(*) FROM grants").await, ["0"]);
    refused("after the purge").await;

    // The code and the refresh token of a client that can still authenticate.
    let app = TestApp::with(&[("lifetimes.grant_seconds", "3600")]).await;
    app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let code = flow::code(&browser, &client).await;
    let (_, refresh) = flow::tokens(&browser, &client).await;
    app.advance(60);
    flow::exchange(&app, &client, &code).await.oauth_error("invalid_grant");
    app.advance(WEEK);
    flow::refresh(&app, &client, &refresh).await.oauth_error("invalid_grant");
    introspect_as(&app, &client, &refresh).await.inactive();
    assert_ne!(app.database.column("SELECT COUNT(*) FROM grants").await, ["0"]);
}
