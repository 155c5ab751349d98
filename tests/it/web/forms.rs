//! Owns tests that every form needs its token. What a form does with one is tested with its page.

use std::collections::BTreeSet;

use grantd::model::client::ClientType;

use crate::harness::{
    TestApp,
    app::{CALLBACK, PASSWORD},
    flow::{authorize_url, tokens},
};

/// Forms without a token: their sender has no session, or sends the secret itself.
const WITHOUT_TOKEN: [&str; 2] = ["/oauth/authorize", "/leaked"];

/// The routes of pages to which a form is sent.
fn actions() -> BTreeSet<String> {
    let router = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/router.rs")).expect("the router");
    let pages = router.split("fn people(").nth(1).and_then(|rest| rest.split("\n}\n").next()).expect("the pages");
    let routes = pages.split(".route(\"").skip(1);
    routes
        .filter_map(|route| route.split_once("\", "))
        .filter(|(_, handlers)| handlers.contains("post("))
        .map(|(path, _)| path.to_owned())
        .collect()
}

#[test]
fn every_page_route_is_found() {
    let found = actions();
    assert!(found.len() >= 20, "{found:?}");
    for path in ["/login", "/logout", "/apps", "/settings/keys/{id}/revoke", "/settings/security/password"] {
        assert!(found.contains(path), "{path}: {found:?}");
    }
}

#[tokio::test]
async fn forms_require_their_token_and_links_change_nothing() {
    // THREATS: SE2
    let app = TestApp::new().await;
    let user = app.user("ada@example.com").await;
    let client = app.client(ClientType::Confidential, |client| client.owner_id = Some(user.clone())).await;
    let (key_id, key) = app.key(&user, "read").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let (access, _) = tokens(&browser, &client).await;
    let waiting = browser.get(&authorize_url(&client, &[("prompt", "consent")])).await.location();
    let interaction = waiting.split_once("interaction=").expect("an interaction").1;
    let foreign = app.browser().get("/login").await.input("csrf");
    let fields = [
        ("name", "x"),
        ("scope", "read"),
        ("redirect_uris", CALLBACK),
        ("overlap", "1h"),
        ("email", "ada@example.com"),
        ("password", PASSWORD),
        ("current", PASSWORD),
        ("new", "another horse battery"),
        ("again", "another horse battery"),
        ("interaction", interaction),
        ("decision", "allow"),
    ];
    for action in actions().iter().filter(|action| !WITHOUT_TOKEN.contains(&action.as_str())) {
        let id = if action.contains("/keys/") && !action.contains("/projects/") { &key_id } else { &client.id };
        let path = action.replace("{id}", id).replace("{client_id}", id);
        for form in [fields.to_vec(), [&fields[..], &[("csrf", &foreign)]].concat()] {
            let reply = browser.post(&path, &form).await;
            assert_eq!(reply.status.as_u16(), 403, "{path}: {}", reply.body);
        }
        browser.get(&path).await;
    }
    app.introspect(&key).await.active();
    app.introspect(&access).await.active();
    browser.get(&format!("/apps/{}", client.id)).await.page(200);
    assert!(app.app.store.list_projects(&user).await.expect("projects").is_empty());
    assert!(app.browser().log_in("ada@example.com").await.status == 303, "the password is what it was");
}
