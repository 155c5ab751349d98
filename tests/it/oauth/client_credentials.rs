//! Owns tests of the client credentials grant.

use data_encoding::BASE64URL_NOPAD;
use grantd::model::{
    client::{ClientType, GrantType},
    scope::Scopes,
};
use serde_json::Value;

use super::{assert_refused, signed_in, token};
use crate::harness::{
    TestApp,
    app::{API, CALLBACK},
    flow,
};

/// The claims of an access token.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a payload");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).expect("base64url")).expect("claims")
}

#[tokio::test]
async fn client_credentials_are_for_confidential_clients_without_refresh_token() {
    // THREATS: CC1
    let app = TestApp::new().await;
    let own = [("grant_type", "client_credentials")];
    // Registered for the grant directly, as no page or command allows: the grant itself refuses.
    let public = app.client(ClientType::Public, |client| client.grant_types = GrantType::ALL.to_vec()).await;
    assert_refused(&token(&app, &public, &own).await, "unauthorized_client", &[]);
    assert_refused(&token(&app, &app.public().await, &own).await, "unauthorized_client", &[]);
    let client = app.client(ClientType::Confidential, |client| {
        client.grant_types = GrantType::ALL.to_vec();
        client.scopes = Scopes::parse("read openid offline_access").expect("scopes");
    });
    let client = client.await;
    for scope in ["read openid offline_access", "read", ""] {
        let reply = token(&app, &client, &[("grant_type", "client_credentials"), ("scope", scope)]).await;
        let body = reply.status(200).json();
        let mut members: Vec<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"]);
        assert_eq!(body["scope"], "read");
    }
}

#[tokio::test]
async fn client_credentials_have_the_clients_scopes_only() {
    // THREATS: CC2
    let app = TestApp::new().await;
    app.api("Second API", "https://second.example.test", &["other"]).await;
    let client = app.client(ClientType::Confidential, |client| {
        client.grant_types = GrantType::ALL.to_vec();
        client.scopes = Scopes::parse("read").expect("scopes");
    });
    let client = client.await;
    // What users granted it, or own, remains theirs.
    let browser = signed_in(&app, "alice@example.com").await;
    flow::tokens(&browser, &client).await;
    for scope in ["write", "read write", "read other", "nosuch", "READ", " "] {
        let reply = token(&app, &client, &[("grant_type", "client_credentials"), ("scope", scope)]).await;
        assert_refused(&reply, "invalid_scope", &[]);
    }
    for resource in ["https://second.example.test", "https://nowhere.test", "not a URI"] {
        let reply = token(&app, &client, &[("grant_type", "client_credentials"), ("resource", resource)]).await;
        assert!(["invalid_scope", "invalid_target"].contains(&reply.status(400).text("error").as_str()));
    }
    let reply = token(&app, &client, &[("grant_type", "client_credentials"), ("resource", API)]).await;
    assert_eq!(reply.status(200).text("scope"), "read");
    let claims = claims(&reply.text("access_token"));
    assert_eq!((&claims["scope"], &claims["aud"], &claims["gid"]), (&"read".into(), &API.into(), &Value::Null));
}

#[tokio::test]
async fn client_subjects_cannot_be_confused_with_users() {
    // THREATS: CC3
    let app = TestApp::new().await;
    let alice = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let own = claims(&app.client_token(&client).await);
    assert_eq!((&own["sub"], &own["client_id"]), (&Value::from(client.id.as_str()), &Value::from(client.id.as_str())));
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let granted = claims(&flow::tokens(&browser, &client).await.0);
    assert_eq!(granted["sub"], Value::from(alice.as_str()));
    // Each kind of subject has its own prefix, so the sets are disjoint.
    assert!(client.id.starts_with("client_") && alice.starts_with("user_"));
    // Client ids are generated: a requested id is ignored, and an invented one refused.
    let page = browser.get("/apps/new").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let made_up = [alice.clone(), format!("{}{}", &alice[..20], &form[20..]), form.replace(&form[..4], "user")];
    for (form, status) in made_up.iter().map(|form| (form, 403)).chain([(&form, 200)]) {
        let fields = [
            ("csrf", csrf.as_str()),
            ("form", form),
            ("client_id", &alice),
            ("id", &alice),
            ("name", "New app"),
            ("type", "confidential"),
            ("redirect_uris", CALLBACK),
            ("scope", "read"),
        ];
        browser.post("/apps", &fields).await.status(status);
    }
    let ids = app.database.column("SELECT id FROM clients WHERE name = 'New app'").await;
    assert_eq!((ids.len(), ids[0].starts_with("client_"), ids[0].contains(&alice)), (1, true, false));
}
