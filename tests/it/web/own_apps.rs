//! Owns tests of `/apps`.

use super::{element, submit};
use crate::harness::{
    Browser, OAuthClient, Reply, TestApp,
    app::{CALLBACK, PASSWORD},
    flow::{authorize_url, code, exchange, tokens},
};

async fn register(browser: &Browser<'_>, fields: &[(&str, &str)]) -> Reply {
    submit(browser, "/apps/new", "/apps", fields).await
}

/// A confidential app, registered on the page.
async fn registered(browser: &Browser<'_>) -> OAuthClient {
    let reply = register(
        browser,
        &[
            ("name", "My app"),
            ("type", "confidential"),
            ("redirect_uris", CALLBACK),
            ("scope", "read"),
            ("scope", "write"),
        ],
    )
    .await;
    reply.page(200);
    OAuthClient { id: element(&reply, "client-id"), secret: Some(element(&reply, "client-secret")) }
}

#[tokio::test]
async fn registered_app_completes_the_code_flow() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    assert!(browser.get("/apps").await.body.contains("No apps yet"));
    let client = registered(&browser).await;
    let secret = client.secret.clone().expect("a secret");
    let (access, _) = tokens(&browser, &client).await;
    assert_eq!(app.introspect(&access).await.active()["client_id"], client.id);
    for page in ["/apps", &format!("/apps/{}", client.id)] {
        let page = browser.get(page).await;
        assert!(page.body.contains("My app") && page.body.contains(&client.id), "{}", page.body);
        assert!(!page.body.contains(&secret), "shown again");
    }
    // PKCE is not optional for an app that anybody can register.
    let refused = browser.get(&authorize_url(&client, &[("code_challenge", ""), ("code_challenge_method", "")])).await;
    refused.redirect_error(CALLBACK, "invalid_request");
}

#[tokio::test]
async fn public_app_has_no_secret() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let fields =
        [("name", "Phone"), ("type", "public"), ("redirect_uris", CALLBACK), ("scope", "read"), ("scope", "write")];
    let reply = register(&browser, &fields).await;
    assert!(!reply.body.contains("client-secret"), "{}", reply.body);
    let client = OAuthClient { id: element(&reply, "client-id"), secret: None };
    exchange(&app, &client, &code(&browser, &client).await).await.status(200);
    assert!(!browser.get(&format!("/apps/{}", client.id)).await.body.contains("Rotate secret"));
    let form = browser.get("/apps/new").await.input("form");
    let rotate = browser.submit("/apps", &format!("/apps/{}/secret", client.id), &[("form", &form)]).await;
    rotate.page(404);
}

#[tokio::test]
async fn app_form_marks_errors() {
    // THREATS: RU3 RU4
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let many = vec![CALLBACK; 21].join("\n");
    for uris in [
        "http://a.example/cb",
        "https://a.example/cb#x",
        "/cb",
        "https://*.a.example/cb",
        "https://u@a.example/cb",
        "javascript:alert(1)",
        "app:/cb",
        "",
        &many,
        "https://ok.example/cb\r\nhttp://a.example/cb",
    ] {
        let reply = register(&browser, &[("name", "My app"), ("redirect_uris", uris), ("scope", "read")]).await;
        reply.page(400);
        assert!(!element(&reply, "app-uris-error").is_empty());
        assert!(
            reply.body.contains("value=\"My app\"") && reply.body.contains("value=\"read\" checked"),
            "{}",
            reply.body
        );
    }
    let reply = register(&browser, &[("name", "a\u{200B}b"), ("redirect_uris", CALLBACK)]).await;
    assert!(!element(&reply, "app-name-error").is_empty() && !element(&reply, "app-scope-error").is_empty());
    let reply =
        register(&browser, &[("name", "x"), ("redirect_uris", CALLBACK), ("scope", "read"), ("type", "trusted")]).await;
    reply.page(400);
    assert!(browser.get("/apps").await.body.contains("No apps yet"));
}

#[tokio::test]
async fn registrant_cannot_create_a_first_party_app() {
    // THREATS: DR2 SE16
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let reply = register(
        &browser,
        &[
            ("name", "My app"),
            ("redirect_uris", CALLBACK),
            ("scope", "read"),
            ("first_party", "true"),
            ("require_pkce", "false"),
            ("owner_id", "user_x"),
            ("client_id", "client_mine"),
            ("grant_types", "client_credentials"),
            ("client_secret", "mine"),
        ],
    )
    .await;
    let client = OAuthClient { id: element(&reply, "client-id"), secret: Some(element(&reply, "client-secret")) };
    assert_ne!(client.id, "client_mine");
    let machine = app.post_as(&client, "/oauth/token", &[("grant_type", "client_credentials")]).await;
    machine.oauth_error("unauthorized_client");
    let asked = browser.follow(browser.get(&authorize_url(&client, &[("scope", "read")])).await).await;
    assert!(asked.body.contains("Unverified"), "{}", asked.body);
}

#[tokio::test]
async fn repeated_form_registers_one_app() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = browser.get("/apps/new").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let fields =
        [("csrf", csrf.as_str()), ("form", &form), ("name", "Once"), ("redirect_uris", CALLBACK), ("scope", "read")];
    browser.post("/apps", &fields).await.page(200);
    browser.post("/apps", &fields).await.page(409);
    assert_eq!(browser.get("/apps").await.body.matches("<bdi>Once</bdi>").count(), 1);
}

#[tokio::test]
async fn owner_changes_an_app() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let client = registered(&browser).await;
    let path = format!("/apps/{}", client.id);
    let old_code = code(&browser, &client).await;
    let bad =
        browser.submit(&path, &path, &[("name", "New name"), ("redirect_uris", "nonsense"), ("scope", "read")]).await;
    bad.page(400);
    assert!(bad.body.contains("value=\"New name\"") && !element(&bad, "app-uris-error").is_empty(), "{}", bad.body);
    let moved = "https://app.example.test/new";
    let saved =
        browser.submit(&path, &path, &[("name", "New name"), ("redirect_uris", moved), ("scope", "read")]).await;
    assert_eq!(saved.location(), format!("{path}?done=saved"));
    let page = browser.follow(saved).await;
    assert!(
        page.body.contains("Saved.") && page.body.contains("New name") && page.body.contains(moved),
        "{}",
        page.body
    );
    browser.get(&authorize_url(&client, &[])).await.page(400);
    exchange(&app, &client, &old_code).await.oauth_error("invalid_grant");
}

#[tokio::test]
async fn secret_is_rotated_with_or_without_overlap() {
    // THREATS: CA10
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let first = registered(&browser).await;
    let path = format!("/apps/{}", first.id);
    let works = async |client: &OAuthClient| {
        app.post_as(client, "/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", "x")])
            .await
            .text("error")
            != "invalid_client"
    };
    let reply = submit(&browser, &path, &format!("{path}/secret"), &[("overlap", "1h")]).await;
    reply.page(200);
    assert!(reply.body.contains("21 Nov 2026, 01:00 UTC"), "{}", reply.body);
    let second = OAuthClient { secret: Some(element(&reply, "client-secret")), ..first.clone() };
    assert!(works(&first).await && works(&second).await);
    assert!(browser.get(&path).await.body.contains("ends <time"));
    app.advance(3601);
    assert!(!works(&first).await && works(&second).await);
    browser.submit(&path, &format!("{path}/secret"), &[("form", "x"), ("overlap", "0s")]).await.page(403);
    let page = browser.get(&path).await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let fields = [("csrf", csrf.as_str()), ("form", &form), ("overlap", "0s"), ("password", PASSWORD)];
    let reply = browser.post(&format!("{path}/secret"), &fields).await;
    let third = OAuthClient { secret: Some(element(&reply, "client-secret")), ..first.clone() };
    assert!(!works(&second).await && works(&third).await);
    // Sending the same form again rotates nothing.
    browser.post(&format!("{path}/secret"), &fields).await.page(409);
    assert!(works(&third).await);
    submit(&browser, &path, &format!("{path}/secret"), &[("overlap", "8d"), ("password", PASSWORD)]).await.page(400);
}

#[tokio::test]
async fn deleting_an_app_revokes_everything() {
    // THREATS: CA11
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let client = registered(&browser).await;
    let (access, _) = tokens(&browser, &client).await;
    let path = format!("/apps/{}", client.id);
    let reply = browser.submit(&path, &format!("{path}/delete"), &[]).await;
    assert_eq!(reply.location(), "/apps?done=deleted");
    app.introspect(&access).await.inactive();
    browser.get(&path).await.page(404);
    assert!(browser.get("/settings/apps").await.body.contains("No app has access"));
}

#[tokio::test]
async fn apps_of_other_users_are_not_found() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    app.user("eve@example.com").await;
    let (ada, eve) = (app.browser(), app.browser());
    ada.log_in("ada@example.com").await;
    eve.log_in("eve@example.com").await;
    let client = registered(&ada).await;
    let operators = app.confidential().await;
    assert!(!eve.get("/apps").await.body.contains(&client.id));
    let form = eve.get("/apps/new").await.input("form");
    for id in [client.id.as_str(), &operators.id, &app.api.id, "client_missing", "..%2Fx"] {
        let path = format!("/apps/{id}");
        eve.get(&path).await.page(404);
        let fields = [
            ("form", form.as_str()),
            ("name", "Mine"),
            ("redirect_uris", CALLBACK),
            ("scope", "read"),
            ("overlap", "0s"),
        ];
        for action in [path.clone(), format!("{path}/secret"), format!("{path}/delete")] {
            eve.submit("/apps", &action, &fields).await.page(404);
        }
    }
    tokens(&ada, &client).await;
}
