//! Owns tests of RFC 9700 §4.11.2: a link to this server does not redirect strangers to an app that anybody registered.

use grantd::{
    model::{audit::Origin, client::ClientType, redirect_uri::RedirectUri},
    store::ClientChanges,
};

use super::{assert_sent_back, once, signed_in};
use crate::harness::{
    OAuthClient, Reply, TestApp,
    app::CALLBACK,
    flow::{authorize, authorize_url},
};

/// An app registered by a user of the server.
async fn of(app: &TestApp, owner: &str) -> OAuthClient {
    app.client(ClientType::Confidential, |client| {
        client.owner_id = Some(owner.to_owned());
        client.name = "Nice app".to_owned();
    })
    .await
}

/// Requests that are refused after client and redirect URI are known.
const WRONG: [(&str, &str, &str); 5] = [
    ("response_type", "token", "unsupported_response_type"),
    ("code_challenge", "", "invalid_request"),
    ("scope", "nosuch", "invalid_scope"),
    ("resource", "https://nowhere.test", "invalid_target"),
    ("prompt", "none", "login_required"),
];

/// Asserts a page that names the app and its host, with a link there that carries the error.
#[track_caller]
fn assert_page(reply: &Reply, error: &str) {
    reply.page(400);
    let body = reply.body.replace("&#38;", "&");
    for words in ["Nice app", "Go back to app.example.test", &format!("{CALLBACK}?error={error}&"), "state=st4te"] {
        assert!(body.contains(words), "{words}: {body}");
    }
}

#[tokio::test]
async fn invalid_request_shows_strangers_a_page_instead_of_redirecting() {
    // THREATS: AZ7
    let app = TestApp::new().await;
    let mallory = app.user("mallory@example.com").await;
    let client = of(&app, &mallory).await;
    for (name, value, error) in WRONG {
        let target = authorize_url(&client, &[(name, value)]);
        assert_page(&app.browser().get(&target).await, error);
        let (_, query) = target.split_once('?').expect("a query");
        let form: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_page(&app.browser().post("/oauth/authorize", &form).await, error);
    }
    // Signed-in users are authenticated, so the app gets the error.
    let browser = signed_in(&app, "alice@example.com").await;
    for (name, value, error) in WRONG {
        let error = if name == "prompt" { "consent_required" } else { error };
        assert_sent_back(&browser.get(&authorize_url(&client, &[(name, value)])).await, error);
    }
    // The operator's clients are trusted.
    let ours = app.confidential().await;
    for (name, value, error) in WRONG {
        assert_sent_back(&app.browser().get(&authorize_url(&ours, &[(name, value)])).await, error);
    }
    // Valid requests work as usual.
    assert!(app.browser().get(&authorize_url(&client, &[])).await.location().starts_with("/login"));
}

#[tokio::test]
async fn prompt_none_redirects_only_for_apps_allowed_by_another_user() {
    let app = TestApp::new().await;
    let mallory = app.user("mallory@example.com").await;
    let client = of(&app, &mallory).await;
    let silent = authorize_url(&client, &[("prompt", "none")]);
    let owner = app.browser();
    owner.log_in("mallory@example.com").await;
    once(&authorize(&owner, &client, &[]).await, "code");
    assert_page(&app.browser().get(&silent).await, "login_required");
    let alice = signed_in(&app, "alice@example.com").await;
    once(&authorize(&alice, &client, &[]).await, "code");
    assert_sent_back(&app.browser().get(&silent).await, "login_required");
    // A request that shows a page is still not redirected.
    assert_page(&app.browser().get(&authorize_url(&client, &[("scope", "nosuch")])).await, "invalid_scope");
}

#[tokio::test]
async fn allowed_apps_are_identified_by_name_and_host() {
    // THREATS: AZ7
    let app = TestApp::new().await;
    let mallory = app.user("mallory@example.com").await;
    let client = of(&app, &mallory).await;
    let alice = signed_in(&app, "alice@example.com").await;
    once(&authorize(&alice, &client, &[]).await, "code");
    let change = async |to: ClientChanges| {
        let changed = app.app.store.update_client(app.now(), Origin::default(), client.id.clone(), None, to).await;
        assert!(changed.expect("an answer"));
    };
    let elsewhere = "https://evil.example/phish";
    let uris = [CALLBACK, elsewhere].map(|uri| RedirectUri::register(uri).expect("a URI")).to_vec();
    change(ClientChanges { redirect_uris: Some(uris), ..ClientChanges::default() }).await;
    let silent = |uri: &str| authorize_url(&client, &[("prompt", "none"), ("redirect_uri", uri)]);
    let page = app.browser().get(&silent(elsewhere)).await;
    assert!(page.page(400).body.contains("Go back to evil.example"), "{}", page.body);
    assert_sent_back(&app.browser().get(&silent(CALLBACK)).await, "login_required");
    change(ClientChanges { name: Some("Your Bank".to_owned()), ..ClientChanges::default() }).await;
    app.browser().get(&silent(CALLBACK)).await.page(400);
    // A first-party client is vouched for by the operator, whoever owns it.
    let first_party = app
        .client(ClientType::Confidential, |client| {
            client.owner_id = Some(mallory.clone());
            client.first_party = true;
        })
        .await;
    let silent = authorize_url(&first_party, &[("prompt", "none")]);
    assert_sent_back(&app.browser().get(&silent).await, "login_required");
}
