//! Owns tests of `/settings/apps`.

use grantd::model::client::ClientType;

use crate::harness::{
    TestApp,
    flow::{authorize, authorize_url, exchange, refresh, tokens},
    prepare,
};

const PAGE: &str = "/settings/apps";

#[tokio::test]
async fn removing_access_revokes_the_apps_tokens() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    assert!(browser.get(PAGE).await.body.contains("No app has access"));
    let (access, refresh_token) = tokens(&browser, &client).await;
    let page = browser.get(PAGE).await;
    for shown in ["Test app", "app.example.test", "May read", "May write", "21 Nov 2026", "just now"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    app.introspect(&access).await.active();
    let reply = browser.submit(PAGE, &format!("{PAGE}/{}/revoke", client.id), &[]).await;
    assert_eq!(reply.location(), "/settings/apps?done=removed");
    app.introspect(&access).await.inactive();
    refresh(&app, &client, &refresh_token).await.oauth_error("invalid_grant");
    assert!(browser.follow(reply).await.body.contains("Access was removed"));
    // The next request asks for consent again.
    let asked = browser.follow(browser.get(&authorize_url(&client, &[])).await).await;
    assert!(asked.body.contains("name=\"decision\""), "{}", asked.body);
}

#[tokio::test]
async fn users_remove_only_their_own_access() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    app.user("eve@example.com").await;
    let client = app.confidential().await;
    let (ada, eve) = (app.browser(), app.browser());
    ada.log_in("ada@example.com").await;
    eve.log_in("eve@example.com").await;
    let (access, _) = tokens(&ada, &client).await;
    assert!(!eve.get(PAGE).await.body.contains("Test app"));
    eve.submit(PAGE, &format!("{PAGE}/{}/revoke", client.id), &[]).await.page(404);
    app.introspect(&access).await.active();
}

#[tokio::test]
async fn access_of_first_party_apps_is_shown_and_removed() {
    // THREATS: SE12
    let app = TestApp::new().await;
    app.user("carol@example.com").await;
    let client = app.client(ClientType::Confidential, |client| client.first_party = true).await;
    let browser = app.browser();
    browser.log_in("carol@example.com").await;
    // A code that was never exchanged does not count as use.
    browser.get(&authorize_url(&client, &[])).await.redirect_param("code").expect("a code without a page");
    assert!(browser.get(PAGE).await.body.contains("No app has access"));
    let (access, refresh_token) = tokens(&browser, &client).await;
    let page = browser.get(PAGE).await;
    for shown in ["Test app", "allowed by the operator", "May read", "May write", "app.example.test"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    let reply = browser.submit(PAGE, &format!("{PAGE}/{}/revoke", client.id), &[]).await;
    assert_eq!(reply.location(), "/settings/apps?done=removed");
    app.introspect(&access).await.inactive();
    refresh(&app, &client, &refresh_token).await.oauth_error("invalid_grant");
    assert!(browser.follow(reply).await.body.contains("No app has access"));
}

#[tokio::test]
async fn unexchanged_codes_do_not_count_as_use() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    authorize(&browser, &client, &[]).await;
    let page = browser.get(PAGE).await.body;
    assert!(page.contains("Test app") && page.contains("never") && !page.contains("just now"), "{page}");
}

#[tokio::test]
async fn third_party_apps_without_consent_are_not_shown_as_the_operators() {
    // THREATS: SE12
    let app = TestApp::new().await;
    let user = app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let code = prepare::code(&app.app.store, &app.app.grant_tokens, app.now(), &user, &client.id).await;
    exchange(&app, &client, &code).await.status(200);
    let page = browser.get(PAGE).await.body;
    assert!(page.contains("Test app") && !page.contains("allowed by the operator"), "{page}");
}

#[tokio::test]
async fn removing_access_discards_a_pending_consent() {
    // THREATS: SE12
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let asked = browser.follow(browser.get(&authorize_url(&client, &[])).await).await;
    let inputs = ["csrf", "interaction", "seen"].map(|name| (name, asked.input(name)));
    let mut form: Vec<(&str, &str)> = inputs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    form.push(("decision", "allow"));
    let allowed = browser.post("/consent", &form).await;
    let reply = browser.submit(PAGE, &format!("{PAGE}/{}/revoke", client.id), &[]).await;
    assert_eq!(reply.location(), "/settings/apps?done=removed");
    let again = browser.follow(allowed).await;
    assert!(again.body.contains("name=\"decision\""), "{}", again.body);
}
