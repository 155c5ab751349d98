//! Owns tests of RFC 8707: which API a token is for, if the scopes of its request belong to several.

use data_encoding::BASE64URL_NOPAD;
use grantd::model::{
    client::{ClientType, GrantType},
    scope::Scopes,
};
use serde_json::Value;

use super::{assert_refused, assert_sent_back, once, signed_in, token};
use crate::harness::{
    ISSUER, OAuthClient, Reply, TestApp,
    app::API,
    flow::{authorize, authorize_url, exchange, exchange_for},
};

const SECOND: &str = "https://second.example.test";

/// The operator's client with scopes of two APIs, for every grant type.
async fn of_two_apis(app: &TestApp) -> OAuthClient {
    app.api("Second API", SECOND, &["other"]).await;
    app.client(ClientType::Confidential, |client| {
        client.grant_types = GrantType::ALL.to_vec();
        client.first_party = true;
        client.scopes = Scopes::parse("read write other").expect("scopes");
    })
    .await
}

/// `aud` and `scope` of the access token in a response, which states the same scope.
#[track_caller]
fn told(reply: &Reply) -> (Value, String) {
    let token = reply.status(200).text("access_token");
    let payload = token.split('.').nth(1).expect("a payload");
    let claims: Value =
        serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).expect("base64url")).expect("claims");
    assert_eq!(claims["scope"], reply.json()["scope"]);
    (claims["aud"].clone(), reply.text("scope"))
}

/// Asserts `invalid_target` with a description that names these choices.
#[track_caller]
fn assert_choices(reply: &Reply, choices: &[&str]) {
    assert_refused(reply, "invalid_target", &[]);
    let words = reply.text("error_description");
    assert!(choices.iter().all(|choice| words.contains(choice)), "{words}");
}

async fn refresh(app: &TestApp, client: &OAuthClient, refresh_token: &str, resource: &str) -> Reply {
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("resource", resource)];
    form.retain(|(_, value)| !value.is_empty());
    token(app, client, &form).await
}

#[tokio::test]
async fn scopes_of_several_apis_require_resource() {
    // THREATS: JW6
    let app = TestApp::new().await;
    let client = of_two_apis(&app).await;
    let ask = async |more: &[(&str, &str)]| {
        token(&app, &client, &[&[("grant_type", "client_credentials")], more].concat()).await
    };
    assert_choices(&ask(&[]).await, &[API, SECOND]);
    assert_choices(&ask(&[("scope", "read other")]).await, &[API, SECOND]);
    assert_choices(&ask(&[("resource", API), ("resource", SECOND)]).await, &[API, SECOND]);
    assert_eq!(told(&ask(&[("resource", API)]).await), (API.into(), "read write".to_owned()));
    assert_eq!(told(&ask(&[("scope", "read other"), ("resource", SECOND)]).await), (SECOND.into(), "other".to_owned()));
    // If the scopes belong to one API, `resource` is not needed.
    assert_eq!(told(&ask(&[("scope", "read")]).await), (API.into(), "read".to_owned()));
}

#[tokio::test]
async fn resource_without_matching_scope_is_invalid_target() {
    let app = TestApp::new().await;
    let client = of_two_apis(&app).await;
    app.api("Third API", "https://third.example.test", &["third"]).await;
    for (resource, choices) in [("https://third.example.test", &[API, SECOND][..]), ("https://nowhere.test", &[])] {
        let form = [("grant_type", "client_credentials"), ("resource", resource)];
        assert_choices(&token(&app, &client, &form).await, choices);
    }
    let form = [("grant_type", "client_credentials"), ("scope", "read"), ("resource", SECOND)];
    let reply = token(&app, &client, &form).await;
    assert_choices(&reply, &["none of the scopes belong to this resource", API]);
    // Also at the authorization endpoint; a scope that the client may not have is another error.
    let browser = signed_in(&app, "alice@example.com").await;
    for (scope, resource, error) in [
        ("read", SECOND, "invalid_target"),
        ("read", "https://third.example.test", "invalid_target"),
        ("third", "https://third.example.test", "invalid_scope"),
    ] {
        let reply = browser.get(&authorize_url(&client, &[("scope", scope), ("resource", resource)])).await;
        assert_sent_back(&reply, error);
    }
}

#[tokio::test]
async fn grant_gives_tokens_for_one_api_at_a_time() {
    let app = TestApp::new().await;
    let client = of_two_apis(&app).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let code = once(&authorize(&browser, &client, &[("scope", "read other")]).await, "code");
    // The error names the choices, and the code can still be used.
    assert_choices(&exchange(&app, &client, &code).await, &[API, SECOND]);
    let first = exchange_for(&app, &client, &code, API).await;
    assert_eq!(told(&first), (API.into(), "read".to_owned()));
    app.introspect(&first.text("access_token")).await.active();
    // A refresh may request the other API of the same grant (RFC 8707 section 2.2), and must say which.
    let refresh_token = first.text("refresh_token");
    assert_choices(&refresh(&app, &client, &refresh_token, "").await, &[API, SECOND]);
    let second = refresh(&app, &client, &refresh_token, SECOND).await;
    assert_eq!(told(&second), (SECOND.into(), "other".to_owned()));
    app.introspect(&second.text("access_token")).await.inactive();
    app.introspect(&first.text("access_token")).await.active();
    let back = refresh(&app, &client, &second.text("refresh_token"), API).await;
    assert_eq!(told(&back), (API.into(), "read".to_owned()));
}

#[tokio::test]
async fn resource_of_the_authorization_request_narrows_the_grant() {
    let app = TestApp::new().await;
    let client = of_two_apis(&app).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let asked = [("scope", "read other"), ("resource", SECOND)];
    let code = once(&authorize(&browser, &client, &asked).await, "code");
    let reply = exchange(&app, &client, &code).await;
    assert_eq!(told(&reply), (SECOND.into(), "other".to_owned()));
    let refresh_token = reply.text("refresh_token");
    assert_refused(&refresh(&app, &client, &refresh_token, API).await, "invalid_target", &[&refresh_token]);
    let again = refresh(&app, &client, &refresh_token, "").await;
    assert_eq!(told(&again), (SECOND.into(), "other".to_owned()));
}

#[tokio::test]
async fn management_tokens_are_refused_by_other_apis() {
    let app = TestApp::new().await;
    let ours = format!("{ISSUER}/api/v1");
    let client = app.client(ClientType::Confidential, |client| {
        client.grant_types = GrantType::ALL.to_vec();
        client.scopes = Scopes::parse("read grantd:keys:read").expect("scopes");
    });
    let client = client.await;
    let own = [("grant_type", "client_credentials")];
    assert_choices(&token(&app, &client, &own).await, &[API, &ours]);
    let reply = token(&app, &client, &[&own[..], &[("resource", &ours)]].concat()).await;
    assert_eq!(told(&reply), (ours.as_str().into(), "grantd:keys:read".to_owned()));
    app.introspect(&reply.text("access_token")).await.inactive();
}
