//! Owns tests of `/settings/security`: changing the password, listing and ending sessions.

use axum::http::{Request, header};

use crate::harness::{
    Browser, Reply, TestApp,
    app::{PASSWORD, encode},
    flow,
};

const ADA: &str = "ada@example.com";
const PAGE: &str = "/settings/security";
const NEW: &str = "kestrel over a quiet lake";

async fn change(browser: &Browser<'_>, current: &str, new: &str, again: &str) -> Reply {
    let fields = [("current", current), ("new", new), ("again", again)];
    browser.submit(PAGE, "/settings/security/password", &fields).await
}

/// Signs in with this user agent.
async fn log_in_as(browser: &Browser<'_>, agent: &str) {
    let csrf = browser.get("/login").await.input("csrf");
    let form = [("csrf", csrf.as_str()), ("email", ADA), ("password", PASSWORD)];
    let request = browser
        .with_cookies(Request::post("/login"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::USER_AGENT, agent);
    browser.send(request.body(encode(&form)).expect("a request")).await.status(303);
}

#[tokio::test]
async fn password_change_ends_other_sessions_and_revokes_grants() {
    // THREATS: SE1
    let app = TestApp::new().await;
    let user = app.user(ADA).await;
    let client = app.confidential().await;
    let (own, other) = (app.browser(), app.browser());
    own.log_in(ADA).await;
    other.log_in(ADA).await;
    let (access, refresh) = flow::tokens(&own, &client).await;
    let (_, key) = app.key(&user, "read").await;
    let before = own.cookie("__Host-grantd_session").expect("a session");
    let done = change(&own, PASSWORD, NEW, NEW).await;
    assert_eq!(done.location(), "/settings/security?done=password");
    assert!(own.follow(done).await.body.contains("Your password was changed."));
    assert_ne!(own.cookie("__Host-grantd_session").expect("a session"), before, "the session has a new value");
    assert_eq!(other.get(PAGE).await.location(), "/login");
    app.introspect(&access).await.inactive();
    flow::refresh(&app, &client, &refresh).await.oauth_error("invalid_grant");
    app.introspect(&key).await.active();
    let old = [("email", ADA), ("password", PASSWORD)];
    app.browser().submit("/login", "/login", &old).await.page(401);
    app.browser().submit("/login", "/login", &[("email", ADA), ("password", NEW)]).await.status(303);
    assert!(app.audit().await.contains(&"user.password".to_owned()));
}

#[tokio::test]
async fn password_change_requires_the_current_and_an_acceptable_new_one() {
    // THREATS: SE9
    let app = TestApp::new().await;
    app.user(ADA).await;
    let browser = app.browser();
    browser.log_in(ADA).await;
    for (current, new, again, why) in [
        ("not my password", NEW, NEW, "The password is wrong."),
        (PASSWORD, "short", "short", "The password must have at least 15 characters"),
        (PASSWORD, "passwordpassword", "passwordpassword", "This password is easy to guess"),
        (PASSWORD, "ada@example.com ada", "ada@example.com ada", "This password is easy to guess"),
        (PASSWORD, NEW, "kestrel over a quiet pond", "The passwords do not match."),
        (PASSWORD, NEW, "", "The passwords do not match."),
    ] {
        let refused = change(&browser, current, new, again).await;
        assert!(refused.page(400).body.contains(why), "{why}: {}", refused.body);
        assert!(!refused.body.contains(&format!("value=\"{new}\"")), "what was typed is not shown again");
    }
    app.browser().log_in(ADA).await;
}

#[tokio::test]
async fn guesses_at_the_current_password_count_as_sign_in_guesses() {
    // THREATS: SE8
    let app = TestApp::with(&[("limits.login_failures_per_account", "3")]).await;
    app.user(ADA).await;
    let browser = app.browser();
    browser.log_in(ADA).await;
    for _ in 0..3 {
        change(&browser, "not my password", NEW, NEW).await.page(400);
    }
    let refused = change(&browser, PASSWORD, NEW, NEW).await;
    assert!(refused.page(429).body.contains("Too many attempts."), "{}", refused.body);
}

#[tokio::test]
async fn sessions_are_listed_and_can_be_ended() {
    // THREATS: SE13
    let app = TestApp::new().await;
    app.user(ADA).await;
    app.user("bob@example.com").await;
    let (own, mut phone, third) = (app.browser(), app.browser(), app.browser());
    phone.address = "203.0.113.9".to_owned();
    log_in_as(&own, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0").await;
    app.advance(60);
    log_in_as(&phone, "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1").await;
    third.log_in(ADA).await;
    let stranger = app.browser();
    stranger.log_in("bob@example.com").await;
    let page = own.get(PAGE).await;
    for words in ["Firefox on Linux", "this browser", "Safari on iPhone", "From 203.0.113.9", "Unknown browser"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    let cookie = own.cookie("__Host-grantd_session").expect("a session");
    assert!(!page.body.contains(&cookie) && !page.body.contains(&grantd::model::secret::Digest::of(&cookie).text()));
    // Each has its own button, except this browser.
    let buttons: Vec<&str> = page.body.split("action=\"/settings/security/sessions/").skip(1).collect();
    assert_eq!(buttons.len(), 3, "two others, and all others at once: {}", page.body);
    let of_phone = page.body.split("<li>").find(|row| row.contains("Safari on iPhone")).expect("the phone's row");
    let action = of_phone.split("action=\"").nth(1).and_then(|rest| rest.split('\"').next()).expect("its form");
    // Other users cannot use it.
    stranger.submit(PAGE, action, &[]).await.page(404);
    phone.get(PAGE).await.page(200);
    let done = own.submit(PAGE, action, &[]).await;
    assert!(own.follow(done).await.body.contains("That browser is signed out."));
    assert_eq!(phone.get(PAGE).await.location(), "/login");
    third.get(PAGE).await.page(200);
    own.submit(PAGE, action, &[]).await.page(404);
    let done = own.submit(PAGE, "/settings/security/sessions/end-others", &[]).await;
    let page = own.follow(done).await;
    assert!(page.body.contains("signed out everywhere else") && !page.body.contains("Unknown browser"));
    assert_eq!(third.get(PAGE).await.location(), "/login");
    stranger.get(PAGE).await.page(200);
    assert!(own.get("/settings/activity").await.body.contains("You signed out another browser"));
}
