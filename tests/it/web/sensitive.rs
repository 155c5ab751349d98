//! Owns tests of steps that want a recent sign-in or the password again.

use super::{element, submit};
use crate::harness::{
    TestApp,
    app::{CALLBACK, PASSWORD},
};

#[tokio::test]
async fn a_new_key_after_ten_minutes_wants_the_password() {
    // THREATS: SE15
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = "/settings/keys";
    let fields = [("name", "Kept name"), ("scope", "read")];
    assert!(!browser.get(page).await.body.contains("name=\"password\""));
    app.advance(601);
    assert!(browser.get(page).await.body.contains("name=\"password\""));
    for wrong in [&[][..], &[("password", "wrong")]] {
        let reply = submit(&browser, page, page, &[&fields[..], wrong].concat()).await;
        reply.page(400);
        assert!(
            !element(&reply, "key-password-error").is_empty() && reply.body.contains("value=\"Kept name\""),
            "{}",
            reply.body
        );
    }
    let reply = submit(&browser, page, page, &[&fields[..], &[("password", PASSWORD)]].concat()).await;
    assert!(element(&reply, "key").starts_with("gd_live_"));
}

#[tokio::test]
async fn a_new_app_or_secret_wants_it_too() {
    // THREATS: SE15
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    app.advance(601);
    let fields = [("name", "My app"), ("redirect_uris", CALLBACK), ("scope", "read")];
    submit(&browser, "/apps/new", "/apps", &fields).await.page(400);
    let reply = submit(&browser, "/apps/new", "/apps", &[&fields[..], &[("password", PASSWORD)]].concat()).await;
    let path = format!("/apps/{}", element(&reply, "client-id"));
    let rotate = format!("{path}/secret");
    let reply = submit(&browser, &path, &rotate, &[("overlap", "0s")]).await;
    reply.page(400);
    assert!(!element(&reply, "rotate-password-error").is_empty());
    submit(&browser, &path, &rotate, &[("overlap", "0s"), ("password", PASSWORD)]).await.page(200);
}

#[tokio::test]
async fn guessing_there_counts_like_guessing_at_sign_in() {
    // THREATS: SE8
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    app.advance(601);
    let page = "/settings/keys";
    for _ in 0..10 {
        submit(&browser, page, page, &[("scope", "read"), ("password", "guess")]).await.page(400);
    }
    let reply = submit(&browser, page, page, &[("scope", "read"), ("password", PASSWORD)]).await;
    assert!(element(&reply, "key-password-error").contains("Too many attempts"), "{}", reply.body);
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    let csrf = browser.get(page).await.input("csrf");
    browser.post("/logout", &[("csrf", &csrf)]).await.status(303);
    browser.submit("/login", "/login", &fields).await.page(429);
}
