//! Owns paths of an API that grantd answers itself, as the API's profile says.

use grantd::{
    engine::{alone, profiles},
    model::audit::{Act, Origin},
};
use serde_json::{Value, json};

use super::{app, ask_from};
use crate::harness::{Reply, TestApp, flow};

/// Gives the example API this profile: the name of a shipped one, or a text.
async fn speak(app: &TestApp, profile: &str) {
    let act = || Act { now: app.now(), origin: Origin::default() };
    let (engine, id) = (app.app.engine(), app.app.catalog.current().by_slug("example-api").expect("an API").id.clone());
    if profile.contains('=') {
        profiles::create(engine, act(), "own", profile.to_owned(), alone).await.expect("a profile");
    }
    let name = if profile.contains('=') { "own" } else { profile };
    profiles::assign(engine, act(), &id, name).await.expect("assigned");
}

async fn own(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Reply {
    ask_from(app, "203.0.113.9", &format!("/gateway/self/example-api{path}"), headers).await
}

#[tokio::test]
async fn who_am_i_equals_the_servers_own_endpoint() {
    let app = app().await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (token, _) = flow::tokens(&browser, &app.confidential().await).await;
    for credential in [key, token] {
        let bearer = format!("Bearer {credential}");
        let expected = app.get_as("/v1/users/me", &credential).await.status(200).json();
        let reply = own(&app, "/v1/users/me", &[("authorization", &bearer)]).await;
        assert_eq!((reply.status(200).json(), reply.header("content-type")), (expected, "application/json"));
        assert!(reply.headers.get("x-auth-subject").is_none() && reply.header("cache-control") == "no-store");
    }
    let missing = own(&app, "/v1/users/me", &[]).await;
    assert_eq!(missing.status(401).text("error"), "missing_api_key");
    assert_eq!(
        own(&app, "/v1/users/me", &[("authorization", "Bearer x")]).await.status(401).text("error"),
        "invalid_api_key"
    );
    for path in ["/v1/users", "/v1/users/me/", "/", "/v1/users/%6De"] {
        own(&app, path, &[]).await.status(404);
    }
}

#[tokio::test]
async fn health_is_answered_without_a_credential_too() {
    let app = app().await;
    speak(&app, "ensemble").await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let bearer = format!("Bearer {key}");
    let reply = own(&app, "/health", &[("authorization", &bearer)]).await;
    let expected = json!({ "status": "healthy", "authenticated": true, "user": { "id": user, "plan": "pro" } });
    assert_eq!(reply.status(200).json(), expected);
    let nobody = own(&app, "/health", &[]).await;
    assert_eq!(nobody.status(200).json(), json!({ "status": "healthy", "authenticated": false }));
    let wrong = own(&app, "/health", &[("authorization", "Bearer x")]).await;
    assert_eq!(
        (&wrong.status(401).json()["success"], wrong.header("content-type")),
        (&json!(false), "application/json")
    );
}

#[tokio::test]
async fn answers_have_the_places_and_formats_of_the_profile() {
    // THREATS: FA4
    let app = app().await;
    let text = r#"
        places = [{ header = "X-Acme-Token" }]
        content_type = "text/xml"
        body = "<error>{code}</error>"
        [[answers]]
        path = "/account"
        body = "<account id='{subject}' name='{user}'><key>{key_name}</key>{key}</account>"
        [[answers]]
        path = "/account.json"
        content_type = "application/json"
        body = '{"user":{user},"key":{key},"name":"{key_name}","project":{project}}'
    "#;
    speak(&app, text).await;
    let user = app.user("alice@example.com").await;
    let name = "</key>\" ' & {subject} \\";
    let (_, key) = app.key_with(&user, "read", |new| new.name = name.to_owned()).await;
    let header = [("x-acme-token", key.as_str())];
    let reply = own(&app, "/account", &header).await;
    let escaped = "&lt;/key&gt;&quot; &apos; &amp; {subject} \\";
    let expected = format!("<account id='{user}' name='alice'><key>{escaped}</key></account>");
    assert_eq!((reply.status(200).body.as_str(), reply.header("content-type")), (expected.as_str(), "text/xml"));
    let reply = own(&app, "/account.json", &header).await.status(200).json();
    assert_eq!((&reply["name"], &reply["key"]["name"], &reply["project"]), (&json!(name), &json!(name), &Value::Null));
    assert_eq!(own(&app, "/account", &[]).await.status(401).body, "<error>missing_api_key</error>");
    let other = app.api("Second", "https://second.example.test", &["other"]).await;
    assert!(!other.id.is_empty());
    let (_, foreign) = app.key(&user, "other").await;
    let refused = own(&app, "/account", &[("x-acme-token", &foreign)]).await;
    assert_eq!(refused.status(401).body, "<error>invalid_api_key</error>");
    assert_eq!(own(&app, "/account?api_key=x", &header).await.status(400).body, "<error>invalid_request</error>");
}
