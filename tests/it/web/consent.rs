//! Owns tests of `/consent`.

use grantd::{
    model::{audit::Origin, client::ClientType, redirect_uri::RedirectUri},
    store::ClientChanges,
};

use super::sign_in;
use crate::harness::{
    Browser, OAuthClient, Reply, TestApp,
    app::{API, CALLBACK},
    flow::{authorize, authorize_url, code, decide, exchange},
};

async fn asked(browser: &Browser<'_>, client: &OAuthClient, change: &[(&str, &str)]) -> Reply {
    let page = browser.follow(browser.get(&authorize_url(client, change)).await).await;
    page.page(200);
    assert!(page.body.contains("name=\"decision\""), "{}", page.body);
    page
}

#[tokio::test]
async fn consent_page_shows_app_scopes_user_and_destination() {
    // THREATS: SE12
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let owner = app.user("grace@example.com").await;
    let client = app.client(ClientType::Confidential, |client| client.owner_id = Some(owner)).await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = asked(&browser, &client, &[("scope", "read")]).await;
    for shown in [
        "Test app",
        &client.id,
        "app.example.test",
        "May read",
        "Example API",
        "Until you remove it, at most 1 year",
        "ada@example.com",
        "Unverified",
        "Registered by grace on 21 Nov 2026",
    ] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    assert!(!page.body.contains("May write"));
    assert!(!page.body.contains("Local app"));
    // Chromium would also apply it to the app's own redirects.
    assert!(!page.header("content-security-policy").contains("form-action"));
}

#[tokio::test]
async fn consent_page_marks_unverified_and_local_apps() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let local = "http://127.0.0.1/cb";
    let client = app
        .client(ClientType::Public, |client| client.redirect_uris.push(RedirectUri::register(local).expect("a URI")))
        .await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = asked(&browser, &client, &[("redirect_uri", "http://127.0.0.1:4000/cb")]).await;
    assert!(page.body.contains("Local app") && !page.body.contains("Unverified"), "{}", page.body);
}

#[tokio::test]
async fn denial_is_access_denied() {
    // THREATS: SE12
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = asked(&browser, &client, &[]).await;
    decide(&browser, &page, "deny").await.redirect_error("https://app.example.test/cb", "access_denied");
    // Not stored: the next request asks again.
    asked(&browser, &client, &[]).await;
}

#[tokio::test]
async fn consent_is_asked_again_for_more_scopes() {
    // THREATS: SE11
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    authorize(&browser, &client, &[("scope", "read")]).await.redirect_param("code").expect("a code");
    let straight = browser.get(&authorize_url(&client, &[("scope", "read")])).await;
    straight.redirect_param("code").expect("a code without a page");
    asked(&browser, &client, &[("scope", "read write")]).await;
    asked(&browser, &client, &[("scope", "read"), ("prompt", "consent")]).await;
}

#[tokio::test]
async fn consent_is_bound_to_browser_and_user() {
    // THREATS: AZ15
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    app.user("eve@example.com").await;
    let client = app.confidential().await;
    let (ours, theirs) = (app.browser(), app.browser());
    ours.log_in("ada@example.com").await;
    theirs.log_in("eve@example.com").await;
    let page = asked(&ours, &client, &[]).await;
    let (csrf, interaction) = (page.input("csrf"), page.input("interaction"));
    theirs.get(&format!("/consent?interaction={interaction}")).await.page(403);
    let own = theirs.get("/settings/keys").await.input("csrf");
    for csrf in [&csrf, &own] {
        let form = [("csrf", csrf.as_str()), ("interaction", &interaction), ("decision", "allow")];
        theirs.post("/consent", &form).await.page(403);
    }
    // An invented token or decision in the right browser has no effect either.
    let mut form = [("csrf", own.as_str()), ("interaction", &interaction), ("decision", "allow")];
    ours.post("/consent", &form).await.page(403);
    form = [("csrf", &csrf), ("interaction", &interaction), ("decision", "maybe")];
    ours.post("/consent", &form).await.page(400);
    asked(&ours, &client, &[]).await;
}

#[tokio::test]
async fn not_you_switches_the_user_of_the_request() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let bob = app.user("bob@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = asked(&browser, &client, &[]).await;
    let interaction = page.input("interaction");
    let form = browser.get(&format!("/login?interaction={interaction}&switch=1")).await;
    form.page(200);
    assert!(!form.body.contains("ada@example.com"), "{}", form.body);
    let consent = browser.follow(sign_in(&browser, &form, "bob@example.com").await).await;
    assert!(consent.body.contains("bob@example.com"), "{}", consent.body);
    let code = decide(&browser, &consent, "allow").await.redirect_param("code").expect("a code");
    let token = exchange(&app, &client, &code).await.text("access_token");
    assert_eq!(app.introspect(&token).await.active()["sub"], bob);
}

#[tokio::test]
async fn repeated_sign_in_has_the_address_filled_in() {
    // THREATS: AZ12
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    code(&browser, &client).await;
    let page = browser.follow(browser.get(&authorize_url(&client, &[("prompt", "login")])).await).await;
    page.page(200);
    assert!(
        page.body.contains("Confirm it is you") && page.body.contains("value=\"ada@example.com\""),
        "{}",
        page.body
    );
    let back = browser.follow(sign_in(&browser, &page, "ada@example.com").await).await;
    back.redirect_param("code").expect("a code");
}

#[tokio::test]
async fn names_on_the_consent_page_are_escaped() {
    // THREATS: SE4
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let name = "<script>alert(1)</script><svg onload=alert(1)> \" ' &";
    let client = app.client(ClientType::Confidential, |client| client.name = name.to_owned()).await;
    let browser = app.browser();
    let login = browser.follow(browser.get(&authorize_url(&client, &[])).await).await;
    browser.log_in("ada@example.com").await;
    let consent = asked(&browser, &client, &[]).await;
    let code = decide(&browser, &consent, "allow").await;
    code.redirect_param("code").expect("a code");
    let connected = browser.get("/settings/apps").await;
    for page in [login, consent, connected] {
        assert!(page.body.contains("&#60;script&#62;alert(1)"), "{}", page.body);
        assert!(!page.body.contains("<script>alert") && !page.body.contains("<svg onload"), "{}", page.body);
    }
}

/// Changes the client as its owner does.
async fn change(app: &TestApp, client: &OAuthClient, changes: ClientChanges) {
    let changed = app.app.store.update_client(app.now(), Origin::default(), client.id.clone(), None, changes).await;
    assert!(changed.expect("an answer"));
}

#[tokio::test]
async fn consent_is_asked_again_for_a_new_name_or_host() {
    // THREATS: SE11 CM8
    let app = TestApp::new().await;
    app.user("bob@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("bob@example.com").await;
    code(&browser, &client).await;
    let straight = async |change: &[(&str, &str)]| {
        browser.get(&authorize_url(&client, change)).await.redirect_param("code").is_some()
    };
    assert!(straight(&[]).await, "as it was allowed");
    let elsewhere = "https://evil.example/x";
    let both = [CALLBACK, elsewhere].map(|uri| RedirectUri::register(uri).expect("a URI")).to_vec();
    change(&app, &client, ClientChanges { redirect_uris: Some(both), ..ClientChanges::default() }).await;
    assert!(straight(&[]).await, "to the host that was seen");
    let page = asked(&browser, &client, &[("redirect_uri", elsewhere), ("scope", "read")]).await;
    assert!(page.body.contains("evil.example"));
    decide(&browser, &page, "allow").await;
    assert!(straight(&[("redirect_uri", elsewhere), ("scope", "read")]).await && straight(&[]).await, "both were seen");
    change(&app, &client, ClientChanges { name: Some("Your Bank".to_owned()), ..ClientChanges::default() }).await;
    let page = asked(&browser, &client, &[("scope", "read")]).await;
    assert!(page.body.contains("Your Bank"));
    decide(&browser, &page, "allow").await;
    assert!(straight(&[("scope", "read")]).await);
    // Consent to the old name does not cover the new one.
    asked(&browser, &client, &[("scope", "read write")]).await;
    asked(&browser, &client, &[("scope", "read"), ("redirect_uri", elsewhere)]).await;
}

#[tokio::test]
async fn consent_given_for_an_old_name_does_not_count() {
    // THREATS: CM8
    let app = TestApp::new().await;
    app.user("bob@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("bob@example.com").await;
    let page = asked(&browser, &client, &[]).await;
    change(&app, &client, ClientChanges { name: Some("Your Bank".to_owned()), ..ClientChanges::default() }).await;
    let again = decide(&browser, &page, "allow").await;
    assert!(again.page(200).body.contains("Your Bank"), "{}", again.body);
    decide(&browser, &again, "allow").await.redirect_param("code").expect("a code");
}

#[tokio::test]
async fn consent_is_asked_for_another_api_and_always_for_local_programs() {
    // THREATS: SE11
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let local = "http://127.0.0.1/cb";
    let client = app
        .client(ClientType::Confidential, |client| {
            client.redirect_uris.push(RedirectUri::register(local).expect("a URI"));
        })
        .await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    authorize(&browser, &client, &[("scope", "read")]).await.redirect_param("code").expect("a code");
    let straight = browser.get(&authorize_url(&client, &[("scope", "read")])).await;
    straight.redirect_param("code").expect("a code without a page");
    // The same scope, for an API that is now named.
    asked(&browser, &client, &[("scope", "read"), ("resource", API)]).await;
    for _ in 0..2 {
        let here = [("scope", "read"), ("resource", API), ("redirect_uri", "http://127.0.0.1:4000/cb")];
        let page = asked(&browser, &client, &here).await;
        decide(&browser, &page, "allow").await.redirect_param("code").expect("a code");
    }
}

#[tokio::test]
async fn an_answer_for_an_app_that_was_just_deleted_is_told_on_a_page() {
    let app = TestApp::new().await;
    app.user("bob@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("bob@example.com").await;
    let page = asked(&browser, &client, &[]).await;
    // As another node does it, before this one learns of it.
    app.database.run(&format!("DELETE FROM clients WHERE id = '{}'", client.id)).await;
    let answer = decide(&browser, &page, "allow").await;
    // A node that has not read the feed for a second trusts no cache and finds no app; another finds out when it writes.
    let body = &answer.page(400).body;
    assert!(body.contains("was deleted meanwhile") || body.contains("not registered with this server"), "{body}");
}
