//! Owns tests of `/oauth/revoke`, and that every way of revoking has the same effect: RV1 to RV5.

use axum::{
    body::Body,
    http::{Request, header},
};
use grantd::model::{
    audit::Origin,
    client::{Client, ClientType},
};
use serde_json::json;

use super::introspect_as;
use crate::harness::{Browser, OAuthClient, Reply, TestApp, app::encode, flow};

async fn revoke(app: &TestApp, client: &OAuthClient, token: &str) -> Reply {
    app.post_as(client, "/oauth/revoke", &[("token", token)]).await
}

#[tokio::test]
async fn unknown_tokens_succeed_and_other_clients_tokens_are_refused() {
    // THREATS: RV1
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let (client, other, public) = (app.confidential().await, app.confidential().await, app.public().await);
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let own = app.client_token(&client).await;
    for caller in [&other, &public] {
        for token in [&access, &own, &refresh] {
            let reply = revoke(&app, caller, token).await;
            reply.oauth_error("invalid_grant");
            assert_eq!(
                reply.json(),
                json!({ "error": "invalid_grant", "error_description": "the token was issued to another client" })
            );
        }
        for unknown in ["unknown", "gd_rt_unknown", "eyJ.x.y", "\u{0}"] {
            let reply = revoke(&app, caller, unknown).await;
            reply.status(200);
            assert_eq!(reply.body, "");
        }
    }
    app.introspect(&access).await.active();
    app.introspect(&own).await.active();
    introspect_as(&app, &client, &refresh).await.active();

    let reply = revoke(&app, &client, &own).await;
    reply.status(200);
    assert_eq!(reply.body, "");
    app.introspect(&own).await.inactive();
    revoke(&app, &client, &own).await.same_as(&reply);
    // The hint is ignored, known or not.
    app.post_as(&client, "/oauth/revoke", &[("token", &refresh), ("token_type_hint", "nonsense")]).await.status(200);
    introspect_as(&app, &client, &refresh).await.inactive();
    app.introspect(&access).await.inactive();
}

#[tokio::test]
async fn revocation_requires_client_authentication() {
    // THREATS: RV1
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let token = app.client_token(&client).await;
    let wrong = OAuthClient { secret: Some("gd_secret_wrong".to_owned()), ..client.clone() };
    let nameless = OAuthClient { secret: None, ..client.clone() };
    for caller in [&wrong, &nameless] {
        revoke(&app, caller, &token).await.oauth_error("invalid_client");
    }
    app.post("/oauth/revoke", &[("token", &token)]).await.oauth_error("invalid_client");
    app.post_as(&client, "/oauth/revoke", &[]).await.oauth_error("invalid_request");
    app.post_as(&client, &format!("/oauth/revoke?token={token}"), &[]).await.oauth_error("invalid_request");
    app.get("/oauth/revoke").await.status(405);
    // A token does not authenticate its own revocation; a key does.
    bearer(&app, &token, &[("token", &token)]).await.oauth_error("invalid_client");
    app.introspect(&token).await.active();
}

#[tokio::test]
async fn failed_revocation_is_not_acknowledged() {
    // THREATS: RV2
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let (_, key) = app.key(&user, "read").await;
    for (table, token) in [("revoked_tokens", &access), ("grants", &refresh), ("changes", &access), ("audit", &refresh)]
    {
        app.database.run(&format!("ALTER TABLE {table} RENAME TO hidden")).await;
        let reply = revoke(&app, &client, token).await;
        reply.status(503);
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(
            reply.json(),
            json!({
                "error": "temporarily_unavailable",
                "error_description": "the service is temporarily unavailable; try again",
            })
        );
        app.database.run(&format!("ALTER TABLE hidden RENAME TO {table}")).await;
        app.introspect(&access).await.active();
        introspect_as(&app, &client, &refresh).await.active();
    }
    app.database.run("ALTER TABLE api_keys RENAME TO hidden").await;
    bearer(&app, &key, &[("token", &key)]).await.status(503);
    app.database.run("ALTER TABLE hidden RENAME TO api_keys").await;
    app.introspect(&key).await.active();
    revoke(&app, &client, &refresh).await.status(200);
    app.introspect(&access).await.inactive();
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_the_grant_and_an_access_token_only_itself() {
    // THREATS: RV3
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (first, refresh) = flow::tokens(&browser, &client).await;
    let (elsewhere, _) = flow::tokens(&browser, &client).await;
    let refreshed = flow::refresh(&app, &client, &refresh).await;
    let (second, current) = (refreshed.text("access_token"), refreshed.text("refresh_token"));

    revoke(&app, &client, &first).await.status(200);
    app.introspect(&first).await.inactive();
    app.introspect(&second).await.active();
    introspect_as(&app, &client, &current).await.active();

    // Also with a rotated token: its holder had the grant.
    revoke(&app, &client, &refresh).await.status(200);
    app.introspect(&second).await.inactive();
    introspect_as(&app, &client, &current).await.inactive();
    flow::refresh(&app, &client, &current).await.oauth_error("invalid_grant");
    flow::refresh(&app, &client, &refresh).await.oauth_error("invalid_grant");
    app.introspect(&elsewhere).await.active();
}

/// Tokens of one grant are revoked together, with one audit entry.
async fn assert_ended(app: &TestApp, client: &OAuthClient, tokens: &(String, String), event: &str) {
    app.introspect(&tokens.0).await.inactive();
    flow::refresh(app, client, &tokens.1).await.oauth_error("invalid_grant");
    let entries = app.audit().await;
    assert_eq!(entries.iter().filter(|name| *name == event).count(), 1, "{event}: {entries:?}");
}

#[tokio::test]
async fn every_way_of_revoking_has_the_same_effect() {
    // THREATS: RV4
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let first_party = |client: &mut Client| client.first_party = true;
    let ours = app.client(ClientType::Confidential, first_party).await;
    let (on_page, by_client, by_password) =
        (app.confidential().await, app.confidential().await, app.confidential().await);
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let page_tokens = flow::tokens(&browser, &on_page).await;
    let again = flow::tokens(&browser, &on_page).await;
    let our_tokens = flow::tokens(&browser, &ours).await;
    let client_tokens = flow::tokens(&browser, &by_client).await;
    let password_tokens = flow::tokens(&browser, &by_password).await;
    for tokens in [&page_tokens, &again, &our_tokens, &client_tokens, &password_tokens] {
        app.introspect(&tokens.0).await.active();
    }

    // 1. The user removes the app on the page: all its grants, in one step.
    remove(&browser, &on_page).await.status(303);
    assert_ended(&app, &on_page, &page_tokens, "consent.withdraw").await;
    assert_ended(&app, &on_page, &again, "consent.withdraw").await;
    app.introspect(&client_tokens.0).await.active();
    // 2. The client revokes its token.
    revoke(&app, &by_client, &client_tokens.1).await.status(200);
    assert_ended(&app, &by_client, &client_tokens, "grant.revoke").await;
    app.introspect(&our_tokens.0).await.active();
    // 3. The password is reset: everything of the user.
    let origin = Origin { actor: "cli".to_owned(), ..Origin::default() };
    app.app.store.set_password(app.now(), origin, user, "$argon2id$none".to_owned()).await.expect("set");
    assert_ended(&app, &by_password, &password_tokens, "user.password").await;
    assert_ended(&app, &ours, &our_tokens, "user.password").await;
    let page = browser.get("/settings/apps").await;
    assert_eq!(page.location(), "/login", "the session has ended too");
}

async fn remove(browser: &Browser<'_>, client: &OAuthClient) -> Reply {
    let csrf = browser.get("/settings/apps").await.input("csrf");
    browser.post(&format!("/settings/apps/{}/revoke", client.id), &[("csrf", &csrf)]).await
}

#[tokio::test]
async fn access_without_consent_can_be_removed() {
    // THREATS: RV4
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let first_party = |client: &mut Client| client.first_party = true;
    let ours = app.client(ClientType::Confidential, first_party).await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let tokens = flow::tokens(&browser, &ours).await;
    app.introspect(&tokens.0).await.active();
    let withdrawn = app.app.store.withdraw_consent(app.now(), Origin::default(), user, ours.id.clone()).await;
    assert!(withdrawn.expect("withdrawn"));
    assert_ended(&app, &ours, &tokens, "consent.withdraw").await;
}

async fn bearer(app: &TestApp, credential: &str, form: &[(&str, &str)]) -> Reply {
    let request = Request::post("/oauth/revoke")
        .header(header::AUTHORIZATION, format!("Bearer {credential}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    app.send(request.body(encode(form)).expect("a request")).await
}

#[tokio::test]
async fn leaked_key_is_revoked_with_the_key_alone() {
    // THREATS: RV5
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (gone, unknown) = app.key(&user, "read").await;
    app.database.run(&format!("DELETE FROM api_keys WHERE id = '{gone}'")).await;
    let (id, key) = app.key(&user, "read").await;
    let (_, untouched) = app.key(&user, "read").await;
    let answer = bearer(&app, &unknown, &[]).await;
    answer.status(200);
    assert_eq!(answer.body, "");
    app.introspect(&key).await.active();
    // The response is the same for an active key, a revoked one and an unknown one.
    bearer(&app, &key, &[]).await.same_as(&answer);
    app.introspect(&key).await.inactive();
    bearer(&app, &key, &[("token", &key)]).await.same_as(&answer);
    bearer(&app, &key, &[("token", &untouched)]).await.oauth_error("invalid_client");
    app.introspect(&untouched).await.active();
    // Scanners send no body.
    let bare = Request::post("/oauth/revoke").header(header::AUTHORIZATION, format!("Bearer {untouched}"));
    app.send(bare.body(Body::empty()).expect("a request")).await.same_as(&answer);
    app.introspect(&untouched).await.inactive();
    // The owner sees it on the keys page and in the audit log.
    let entry = app.entries(50).await;
    let entry = entry.iter().find(|entry| entry.event == "key.revoke" && entry.object.as_deref() == Some(&id));
    assert_eq!(entry.and_then(|entry| entry.user_id.clone()), Some(user));
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    assert!(browser.get("/settings/keys").await.body.contains("revoked"));
}

#[tokio::test]
async fn client_revokes_keys_only_of_its_own_api() {
    // THREATS: RV1
    let app = TestApp::new().await;
    let other_api = app.api("Other API", "https://other.example.test", &["other"]).await;
    let client = app.confidential().await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    for caller in [&other_api, &client] {
        let reply = revoke(&app, caller, &key).await;
        reply.oauth_error("invalid_grant");
        assert_eq!(
            reply.json(),
            json!({ "error": "invalid_grant", "error_description": "the key is not for this client" })
        );
    }
    app.introspect(&key).await.active();
    revoke(&app, &app.api, &key).await.status(200);
    app.introspect(&key).await.inactive();
}
