//! Owns tests of returning to the page that required a sign-in. For signing in itself, see `login`.

use grantd::model::audit::Origin;

use super::sign_in;
use crate::harness::{Browser, Reply, TestApp, app::PASSWORD, flow::authorize_url};

const ADA: &str = "ada@example.com";
const DENIED: &str = "/settings/denied?request_id=req_1234";

async fn log_in_with(browser: &Browser<'_>, extra: &[(&str, &str)]) -> Reply {
    let fields = [&[("email", ADA), ("password", PASSWORD)], extra].concat();
    browser.submit("/login", "/login", &fields).await
}

#[tokio::test]
async fn requested_page_is_shown_once_after_sign_in() {
    let app = TestApp::new().await;
    app.user(ADA).await;
    let browser = app.browser();
    assert_eq!(browser.get(DENIED).await.location(), "/login", "where to is in no URL");
    let page = browser.get("/login").await;
    assert!(!page.body.contains("Your session ended"), "{}", page.body);
    // A failed attempt keeps it.
    browser.submit("/login", "/login", &[("email", ADA), ("password", "wrong")]).await.status(401);
    assert_eq!(log_in_with(&browser, &[]).await.location(), DENIED);
    let page = browser.get("/settings/keys").await;
    browser.post("/logout", &[("csrf", &page.input("csrf"))]).await.status(303);
    assert_eq!(log_in_with(&browser, &[]).await.location(), "/settings/keys", "once");
    // It belongs to the browser, and expires.
    let (one, two) = (app.browser(), app.browser());
    one.get(DENIED).await.status(303);
    assert_eq!(log_in_with(&two, &[]).await.location(), "/settings/keys");
    app.advance(3601);
    assert_eq!(log_in_with(&one, &[]).await.location(), "/settings/keys");
}

#[tokio::test]
async fn expired_session_is_explained_and_leads_back() {
    let app = TestApp::with(&[("lifetimes.session_seconds", "60")]).await;
    app.user(ADA).await;
    let browser = app.browser();
    browser.log_in(ADA).await;
    app.advance(61);
    let page = browser.follow(browser.get("/settings/projects").await).await;
    assert!(page.page(200).body.contains("Your session ended. Sign in to continue."), "{}", page.body);
    assert_eq!(log_in_with(&browser, &[]).await.location(), "/settings/projects");
}

#[tokio::test]
async fn form_with_an_expired_session_leads_back_to_its_page() {
    let app = TestApp::new().await;
    let user = app.user(ADA).await;
    let (key_id, key) = app.key(&user, "read").await;
    let browser = app.browser();
    browser.log_in(ADA).await;
    let csrf = browser.get("/settings/keys").await.input("csrf");
    let ended = app.app.store.set_user_active(app.now(), Origin::default(), user.clone(), false).await;
    assert!(ended.expect("disabled"));
    assert!(app.app.store.set_user_active(app.now(), Origin::default(), user, true).await.expect("enabled"));
    let sent = browser.post(&format!("/settings/keys/{key_id}/revoke"), &[("csrf", &csrf)]).await;
    let page = browser.follow(sent).await;
    for words in ["Your session ended. Sign in to continue.", "were not saved", "send them again"] {
        assert!(page.page(200).body.contains(words), "{words}: {}", page.body);
    }
    app.introspect(&key).await.active();
    assert_eq!(log_in_with(&browser, &[]).await.location(), format!("/settings/keys/{key_id}"));
    browser.get(&format!("/settings/keys/{key_id}")).await.page(200);
}

#[tokio::test]
async fn parameters_do_not_choose_the_destination() {
    // THREATS: SE5
    let app = TestApp::new().await;
    app.user(ADA).await;
    let client = app.confidential().await;
    for evil in
        ["//evil.example", "/\\evil.example", "https:evil.example", "/%09/evil.example", "https://evil.example/"]
    {
        for name in ["next", "return_to", "redirect", "redirect_uri", "continue", "url", "path"] {
            let browser = app.browser();
            let query = form_urlencoded::Serializer::new(String::new()).append_pair(name, evil).finish();
            let page = browser.get(&format!("/login?{query}")).await;
            assert!(!page.page(200).body.contains("evil"), "{}", page.body);
            assert_eq!(log_in_with(&browser, &[(name, evil)]).await.location(), "/settings/keys", "{name}={evil}");
            assert_eq!(browser.get(&format!("/login?{query}")).await.location(), "/settings/keys");
        }
    }
    // Nor if an app waits.
    let browser = app.browser();
    let login = browser.get(&authorize_url(&client, &[])).await.location();
    let page = browser.get(&format!("{login}&next=https://evil.example/")).await;
    let on = sign_in(&browser, &page, ADA).await.location();
    assert!(on.starts_with("/oauth/authorize?interaction="), "{on}");
}

#[tokio::test]
async fn cross_site_form_stores_no_return_path() {
    // THREATS: SE2
    let app = TestApp::new().await;
    let browser = app.browser();
    let request = axum::http::Request::post("/settings/keys/key_1/revoke")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "cross-site");
    let reply = browser.send(request.body(axum::body::Body::empty()).expect("a request")).await;
    assert_eq!(reply.location(), "/login");
    assert!(!reply.headers.contains_key("set-cookie"), "{:?}", reply.headers);
}

#[tokio::test]
async fn settings_redirect_to_the_keys() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/settings").await.location(), "/settings/keys");
}
