//! Owns tests of `/login` and `/logout`.

use axum::http::{Request, header};

use super::sign_in;
use crate::harness::{
    TestApp,
    app::{PASSWORD, encode},
    flow::{authorize_url, decide},
};

const SESSION: &str = "__Host-grantd_session";

#[tokio::test]
async fn sign_in_and_consent_lead_back_to_the_app() {
    // THREATS: AZ8
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    let page = browser.follow(browser.get(&authorize_url(&client, &[])).await).await;
    page.page(200);
    assert!(page.body.contains("<bdi>Test app</bdi>"), "says which app: {}", page.body);
    let answer = sign_in(&browser, &page, " Ada@Example.com ").await;
    answer.status(303);
    let consent = browser.follow(answer).await;
    consent.page(200);
    let back = decide(&browser, &consent, "allow").await;
    assert!(back.redirect_param("code").is_some());
    assert_eq!(back.redirect_param("state").as_deref(), Some("st4te"));
}

#[tokio::test]
async fn sign_in_without_an_app_leads_to_the_keys() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    let asked = browser.get("/settings/keys").await;
    assert_eq!(asked.location(), "/login");
    assert_eq!(browser.log_in("ada@example.com").await.location(), "/settings/keys");
    assert_eq!(browser.get("/").await.location(), "/settings/keys");
    assert_eq!(browser.get("/login").await.location(), "/settings/keys");
    browser.get("/settings/keys").await.page(200);
}

#[tokio::test]
async fn unknown_address_wrong_password_and_disabled_user_look_alike() {
    // THREATS: SE6
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let disabled = app.user("gone@example.com").await;
    app.app.store.set_user_active(app.now(), Default::default(), disabled, false).await.expect("disabled");
    let mut pages = Vec::new();
    for (email, password) in [
        ("ada@example.com", "wrong horse battery"),
        ("nobody@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("", ""),
    ] {
        let browser = app.browser();
        let reply = browser.submit("/login", "/login", &[("email", email), ("password", password)]).await;
        reply.page(401);
        assert!(browser.cookie(SESSION).is_none());
        let csrf = reply.input("csrf");
        pages.push(reply.body.replace(&csrf, "").replace(email, "").replace(" autofocus", ""));
    }
    assert!(pages.iter().all(|page| page.contains("The email address or password is wrong.")), "{}", pages[0]);
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0], pages[2]);
}

#[tokio::test]
async fn password_guessing_is_limited_without_locking_out_the_owner() {
    // THREATS: SE7
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let owner = app.browser();
    owner.log_in("ada@example.com").await;
    let page = owner.get("/settings/keys").await;
    owner.post("/logout", &[("csrf", &page.input("csrf"))]).await.status(303);
    let mut guesser = app.browser();
    let spellings = ["ada@example.com", "ADA@example.com", " Ada@Example.COM "];
    for guess in 0..10 {
        guesser.address = format!("198.51.100.{guess}");
        let email = spellings[guess % spellings.len()];
        guesser.submit("/login", "/login", &[("email", email), ("password", "guess")]).await.status(401);
    }
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    let refused = guesser.submit("/login", "/login", &fields).await;
    refused.page(429);
    assert_eq!(refused.header("retry-after"), "901");
    owner.log_in("ada@example.com").await;
    app.advance(901);
    guesser.submit("/login", "/login", &fields).await.status(303);
}

#[tokio::test]
async fn attempts_at_many_accounts_are_limited_per_address() {
    // THREATS: SE7
    let app = TestApp::with(&[("limits.login_failures_per_address", "5")]).await;
    app.user("ada@example.com").await;
    let mut browser = app.browser();
    for guess in 0..5 {
        // One subscriber has a whole /64 of addresses.
        browser.address = format!("2001:db8:1:2::{guess:x}");
        let email = format!("user{guess}@example.com");
        browser.submit("/login", "/login", &[("email", &email), ("password", "guess")]).await.status(401);
    }
    browser.address = "2001:db8:1:2:ffff::1".to_owned();
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    browser.submit("/login", "/login", &fields).await.page(429);
    browser.address = "2001:db8:1:3::1".to_owned();
    browser.submit("/login", "/login", &fields).await.status(303);
}

#[tokio::test]
async fn session_is_new_and_its_cookie_strict() {
    // THREATS: SE1
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    let planted = "A".repeat(43);
    browser.cookies.lock().expect("cookies").insert(SESSION.to_owned(), planted.clone());
    let reply = browser.log_in("ada@example.com").await;
    let cookies: Vec<&str> =
        reply.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with(SESSION)).expect("a session");
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
        assert!(session.contains(attribute), "{session}");
    }
    assert!(!session.contains("Domain"), "{session}");
    let first = browser.cookie(SESSION).expect("a session");
    assert_ne!(first, planted);
    // Signing in again changes the value, and the old one is invalid.
    let client = app.confidential().await;
    let page = browser.follow(browser.get(&authorize_url(&client, &[("prompt", "login")])).await).await;
    sign_in(&browser, &page, "ada@example.com").await.status(303);
    assert_ne!(browser.cookie(SESSION).expect("a session"), first);
    browser.cookies.lock().expect("cookies").insert(SESSION.to_owned(), first);
    assert_eq!(browser.get("/settings/keys").await.location(), "/login");
}

#[tokio::test]
async fn sign_out_ends_the_session_on_the_server() {
    // THREATS: SE13
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    app.user("bob@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let old = browser.cookie(SESSION).expect("a session");
    let page = browser.get("/settings/keys").await;
    browser.get("/logout").await.status(405);
    browser.post("/logout", &[("csrf", "x")]).await.page(403);
    browser.get("/settings/keys").await.page(200);
    let out = browser.post("/logout", &[("csrf", &page.input("csrf"))]).await;
    assert_eq!(out.location(), "/login?done=signed-out");
    assert!(browser.follow(out).await.body.contains("You are signed out."));
    assert!(browser.cookie(SESSION).is_none());
    browser.cookies.lock().expect("cookies").insert(SESSION.to_owned(), old);
    assert_eq!(browser.get("/settings/keys").await.location(), "/login");
    browser.cookies.lock().expect("cookies").remove(SESSION);
    browser.log_in("bob@example.com").await;
    let body = browser.get("/settings/keys").await.body;
    assert!(body.contains("bob@example.com") && !body.contains("ada@example.com"));
}

#[tokio::test]
async fn cross_site_forms_are_refused() {
    // THREATS: SE2
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    let csrf = browser.get("/login").await.input("csrf");
    let fields = |csrf: &'static str| vec![("csrf", csrf), ("email", "ada@example.com"), ("password", PASSWORD)];
    browser.post("/login", &fields("")).await.page(403);
    browser.post("/login", &fields("AAAA")).await.page(403);
    let stranger = app.browser();
    stranger.get("/login").await.status(200);
    let form = [("csrf", csrf.as_str()), ("email", "ada@example.com"), ("password", PASSWORD)];
    stranger.post("/login", &form).await.page(403);
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let request = browser
            .with_cookies(Request::post("/login"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(name, value);
        browser.send(request.body(encode(&form)).expect("a request")).await.page(403);
    }
    browser.post("/login", &form).await.status(303);
}

#[tokio::test]
async fn interaction_is_bound_to_its_browser() {
    // THREATS: AZ15
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let (ours, theirs) = (app.browser(), app.browser());
    let page = ours.follow(ours.get(&authorize_url(&client, &[])).await).await;
    let interaction = page.input("interaction");
    theirs.get(&format!("/login?interaction={interaction}")).await.page(403);
    let csrf = theirs.get("/login").await.input("csrf");
    let form =
        [("csrf", csrf.as_str()), ("interaction", &interaction), ("email", "ada@example.com"), ("password", PASSWORD)];
    theirs.post("/login", &form).await.page(403);
    assert!(theirs.cookie(SESSION).is_none());
}

#[tokio::test]
async fn expired_and_invented_interactions_show_a_page() {
    let app = TestApp::with(&[("lifetimes.interaction_seconds", "60")]).await;
    let client = app.confidential().await;
    let browser = app.browser();
    let page = browser.follow(browser.get(&authorize_url(&client, &[])).await).await;
    let interaction = page.input("interaction");
    browser.get("/login?interaction=made-up").await.page(400);
    browser.get("/consent?interaction=made-up").await.page(400);
    browser.get("/consent").await.page(400);
    app.advance(61);
    browser.get(&format!("/login?interaction={interaction}")).await.page(400);
}

#[tokio::test]
async fn missing_cookies_are_explained() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let csrf = app.browser().get("/login").await.input("csrf");
    let form = [("csrf", csrf.as_str()), ("email", "ada@example.com"), ("password", PASSWORD)];
    let refused = app.browser().post("/login", &form).await;
    assert!(refused.page(403).body.contains("allow cookies for this site"), "{}", refused.body);
}

#[tokio::test]
async fn return_from_consent_needs_no_second_sign_in() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    let login = browser.get(&authorize_url(&client, &[])).await.location();
    let page = browser.get(&login).await;
    let consent = browser.follow(sign_in(&browser, &page, "ada@example.com").await).await;
    assert!(consent.body.contains("name=\"decision\""), "{}", consent.body);
    let back = browser.get(&login).await;
    assert!(back.page(200).body.contains("You are signed in") && back.body.contains("Continue"), "{}", back.body);
    assert!(!back.body.contains("requires you to sign in again") && !back.body.contains("name=\"password\""));
    let id = login.split_once("interaction=").expect("an interaction").1;
    let on = browser.follow(browser.get(&format!("/oauth/authorize?interaction={id}")).await).await;
    assert!(on.body.contains("name=\"decision\""), "{}", on.body);
    let other = browser.get(&format!("/login?interaction={id}&switch=1")).await;
    assert!(other.body.contains("name=\"password\""), "{}", other.body);
    // If the app requires another sign-in, there is a form.
    let again = browser.get(&authorize_url(&client, &[("prompt", "login")])).await.location();
    let again = browser.get(&again).await;
    assert!(again.body.contains("requires you to sign in again") && again.body.contains("name=\"password\""));
}

#[tokio::test]
async fn sign_in_attempts_are_audited() {
    // THREATS: AU1
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.submit("/login", "/login", &[("email", "ada@example.com"), ("password", "wrong")]).await.status(401);
    browser.log_in("ada@example.com").await;
    let page = browser.get("/settings/keys").await;
    browser.post("/logout", &[("csrf", &page.input("csrf"))]).await.status(303);
    let events = app.audit().await;
    assert_eq!(events.iter().filter(|event| *event == "login").count(), 2, "{events:?}");
    assert!(events.iter().any(|event| event == "logout"), "{events:?}");
}
