//! Owns tests of disabled and deleted clients: everything of theirs stops at every endpoint.

use grantd::model::{
    audit::Origin,
    client::{ClientType, GrantType},
    secret::Digest,
};

use super::{assert_refused, signed_in, token};
use crate::harness::{
    Browser, OAuthClient, TestApp,
    flow::{self, authorize_url, exchange},
    wait,
};

/// A client's code, refresh token, and access tokens of a user and of its own.
struct Holdings {
    code: String,
    refresh_token: String,
    access_tokens: Vec<String>,
}

async fn holdings(app: &TestApp, browser: &Browser<'_>, client: &OAuthClient) -> Holdings {
    let (access_token, refresh_token) = flow::tokens(browser, client).await;
    let held = Holdings {
        code: flow::code(browser, client).await,
        refresh_token,
        access_tokens: vec![access_token, app.client_token(client).await],
    };
    for access_token in &held.access_tokens {
        // Cached as active by two endpoints: the cache must not outlive the client.
        app.introspect(access_token).await.active();
        app.get_as("/v1/users/me", access_token).await.status(200);
    }
    held
}

/// Asserts that nothing of the client works any more.
async fn assert_ended(app: &TestApp, browser: &Browser<'_>, client: &OAuthClient, held: &Holdings) {
    browser.get(&authorize_url(client, &[])).await.page(400);
    browser.get(&authorize_url(client, &[("prompt", "none")])).await.page(400);
    for reply in [
        exchange(app, client, &held.code).await,
        flow::refresh(app, client, &held.refresh_token).await,
        token(app, client, &[("grant_type", "client_credentials")]).await,
        app.post_as(client, "/oauth/introspect", &[("token", &held.access_tokens[0])]).await,
    ] {
        assert_refused(&reply, "invalid_client", &[&held.code, &held.refresh_token]);
    }
    for access_token in &held.access_tokens {
        app.introspect(access_token).await.inactive();
        let reply = app.get_as("/v1/users/me", access_token).await;
        assert!(reply.status(401).header("www-authenticate").contains("error=\"invalid_token\""));
    }
}

#[tokio::test]
async fn disabled_client_and_its_tokens_are_refused_everywhere() {
    // THREATS: CA11
    let app = TestApp::new().await;
    let (client, bystander) = (app.confidential().await, app.confidential().await);
    let browser = signed_in(&app, "alice@example.com").await;
    let (held, others) = (holdings(&app, &browser, &client).await, holdings(&app, &browser, &bystander).await);
    let waiting = browser.get(&authorize_url(&client, &[("scope", "read"), ("prompt", "login")])).await.location();
    let set = async |active| {
        app.app.store.set_client_active(app.now(), Origin::default(), client.id.clone(), active).await.expect("set")
    };
    assert!(set(false).await);
    assert_ended(&app, &browser, &client, &held).await;
    // It may only revoke what it holds.
    app.post_as(&client, "/oauth/revoke", &[("token", &held.access_tokens[1])]).await.status(200);
    browser.get(&waiting.replace("/login", "/oauth/authorize")).await.page(400);
    // Disabled is not deleted: what has not expired meanwhile works again.
    assert!(set(true).await);
    app.introspect(&held.access_tokens[0]).await.active();
    app.introspect(&held.access_tokens[1]).await.inactive();
    exchange(&app, &client, &held.code).await.status(200);
    app.introspect(&others.access_tokens[0]).await.active();
    exchange(&app, &bystander, &others.code).await.status(200);
}

#[tokio::test]
async fn deleting_a_client_removes_codes_tokens_consents_and_secrets() {
    // THREATS: CA11
    let app = TestApp::new().await;
    let (client, bystander) = (app.confidential().await, app.confidential().await);
    let browser = signed_in(&app, "alice@example.com").await;
    let (held, others) = (holdings(&app, &browser, &client).await, holdings(&app, &browser, &bystander).await);
    let waiting = browser.get(&authorize_url(&client, &[("prompt", "login")])).await.location();
    let store = &app.app.store;
    assert!(store.delete_client(app.now(), Origin::default(), client.id.clone(), None).await.expect("deleted"));
    assert_ended(&app, &browser, &client, &held).await;
    let revoked = app.post_as(&client, "/oauth/revoke", &[("token", &held.refresh_token)]).await;
    assert_refused(&revoked, "invalid_client", &[&held.refresh_token]);
    browser.get(&waiting.replace("/login", "/oauth/authorize")).await.page(400);
    for table in ["grants", "consents", "client_secrets"] {
        let left = app.database.column(&format!("SELECT client_id FROM {table}")).await;
        assert!(!left.contains(&client.id) && left.contains(&bystander.id), "{table}: {left:?}");
    }
    app.introspect(&others.access_tokens[0]).await.active();
    exchange(&app, &bystander, &others.code).await.status(200);
    let audit = app.audit().await;
    assert!(audit.contains(&"client.delete".to_owned()), "{audit:?}");
}

#[tokio::test]
async fn disabled_resource_server_cannot_introspect() {
    // THREATS: CA11
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let access_token = app.client_token(&client).await;
    app.introspect(&access_token).await.active();
    let store = &app.app.store;
    assert!(store.set_client_active(app.now(), Origin::default(), app.api.id.clone(), false).await.expect("disabled"));
    let secret = app.api.secret.clone().expect("a secret");
    assert_refused(&app.introspect(&access_token).await, "invalid_client", &[&access_token, &secret]);
    // The client of an API cannot be deleted, since nothing could introspect then.
    assert!(!store.delete_client(app.now(), Origin::default(), app.api.id.clone(), None).await.expect("looked"));
    let kept = app.database.column("SELECT digest FROM client_secrets").await;
    assert!(kept.contains(&Digest::of(&secret).text()));
}

#[tokio::test]
async fn clients_are_disabled_and_enabled_with_their_owner() {
    // THREATS: CA11 IN8
    let app = TestApp::new().await;
    let second = app.beside().await;
    let mallory = app.user("mallory@example.com").await;
    let client = app
        .client(ClientType::Confidential, |client| {
            client.owner_id = Some(mallory.clone());
            client.grant_types = GrantType::ALL.to_vec();
        })
        .await;
    let browser = signed_in(&app, "alice@example.com").await;
    let held = holdings(&app, &browser, &client).await;
    let given_up = app.client_token(&client).await;
    for access_token in &held.access_tokens {
        second.introspect(access_token).await.active();
        second.introspect(access_token).await.active();
    }
    token(&second, &client, &[("grant_type", "client_credentials")]).await.status(200);
    let set = async |active| {
        app.app.store.set_user_active(app.now(), Origin::default(), mallory.clone(), active).await.expect("set")
    };
    assert!(set(false).await);
    assert_ended(&app, &browser, &client, &held).await;
    // The other node has cached client and tokens, and sees the change in the feed.
    for access_token in &held.access_tokens {
        wait_until(async || second.introspect(access_token).await.body == r#"{"active":false}"#).await;
    }
    wait_until(async || token(&second, &client, &[("grant_type", "client_credentials")]).await.status.as_u16() == 401)
        .await;
    assert!(set(true).await);
    app.introspect(&given_up).await.active();
    // What it revoked while disabled stays revoked.
    assert!(set(false).await);
    app.post_as(&client, "/oauth/revoke", &[("token", &given_up)]).await.status(200);
    assert!(set(true).await);
    app.introspect(&given_up).await.inactive();
    app.introspect(&held.access_tokens[0]).await.active();
    exchange(&app, &client, &held.code).await.status(200);
    wait_until(async || token(&second, &client, &[("grant_type", "client_credentials")]).await.status.as_u16() == 200)
        .await;
}

/// Polls until it holds; a change reaches another node within a second on a machine that is not busy.
async fn wait_until(is_so: impl AsyncFn() -> bool) {
    wait::until("the change", async || is_so().await.then_some(())).await;
}
