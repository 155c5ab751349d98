//! Owns tests of the claims that a signed token must have, and of those in issued tokens: JW4, JW5, JW6.

use grantd::model::client::{ClientType, GrantType};
use serde_json::{Value, json};

use super::{assert_refused, claims, machine, members, part, signed};
use crate::harness::{ISSUER, OAuthClient, TestApp, app::API, flow};

/// A client, and its claims with one replaced or, with null, removed.
async fn prepared() -> (TestApp, OAuthClient) {
    let app = TestApp::new().await;
    let client = machine(&app, "read").await;
    // The change below is the only error.
    app.introspect(&signed(&app, &claims(&app, &client))).await.active();
    (app, client)
}

fn with(app: &TestApp, client: &OAuthClient, name: &str, value: &Value) -> String {
    let mut claims = claims(app, client);
    let members = claims.as_object_mut().expect("an object");
    members.remove(name);
    if !value.is_null() {
        members.insert(name.to_owned(), value.clone());
    }
    signed(app, &claims)
}

#[tokio::test]
async fn time_claims_must_be_integers_in_range() {
    // THREATS: JW4
    let (app, client) = prepared().await;
    let now = app.now().seconds();
    let soon = now + 600;
    for name in ["exp", "iat", "nbf"] {
        let (text, float, list) = (json!(soon.to_string()), json!(now as f64 + 0.5), json!([soon]));
        for wrong in [text, float, list, json!(1e300), json!(-1), json!(true), json!({}), json!(u64::MAX), json!(1e9)] {
            assert_refused(&app, &with(&app, &client, name, &wrong), &format!("{name} {wrong}")).await;
        }
    }
    for missing in ["exp", "iat", "jti", "sub", "client_id", "scope", "aud", "iss"] {
        assert_refused(&app, &with(&app, &client, missing, &Value::Null), &format!("no {missing}")).await;
    }
    // Expiry has no leeway; times in the future have one minute, for nodes whose clocks differ.
    for (name, wrong) in [("exp", now), ("exp", now - 1), ("exp", 0), ("iat", now + 61), ("nbf", now + 61)] {
        let token = with(&app, &client, name, &json!(wrong));
        app.introspect(&token).await.inactive();
        app.get_as("/v1/users/me", &token).await.status(401);
    }
    for (name, right) in [("exp", now + 1), ("iat", now + 60), ("nbf", now + 60), ("nbf", now), ("iat", 0)] {
        app.introspect(&with(&app, &client, name, &json!(right))).await.active();
    }
    // A token cannot have lived longer than its lifetime.
    let backwards = json!({ "iat": now + 50, "exp": now + 40 });
    let mut claims = claims(&app, &client);
    claims["iat"] = backwards["iat"].clone();
    claims["exp"] = backwards["exp"].clone();
    assert_refused(&app, &signed(&app, &claims), "issued after its end").await;
}

#[tokio::test]
async fn issuer_and_audience_are_compared_byte_for_byte() {
    // THREATS: JW5
    let (app, client) = prepared().await;
    for wrong in [
        json!("https://other.example.test"),
        json!("https://api.example.test/"),
        json!("https://api.example.tes"),
        json!("https://api.example"),
        json!("HTTPS://api.example.test"),
        json!("api.example.test"),
        json!(ISSUER),
        json!("*"),
        json!(""),
        json!([]),
        // grantd issues tokens for one API each, so an array is refused, even if it contains this API.
        json!([API]),
        json!(["https://other.example.test", API]),
        json!(["https://other.example.test", "https://api.example.test/"]),
        json!([[API]]),
        json!([API, 1]),
        json!({ "0": API }),
        json!(7),
    ] {
        assert_refused(&app, &with(&app, &client, "aud", &wrong), &format!("aud {wrong}")).await;
    }
    for wrong in [
        json!(format!("{ISSUER}/")),
        json!(ISSUER.to_uppercase()),
        json!("https://AUTH.example.test"),
        json!("https://auth.example.test:443"),
        json!("https://auth.example.test.evil.test"),
        json!("http://auth.example.test"),
        json!([ISSUER]),
        json!(""),
    ] {
        assert_refused(&app, &with(&app, &client, "iss", &wrong), &format!("iss {wrong}")).await;
    }
}

#[tokio::test]
async fn claims_must_refer_to_existing_records() {
    // THREATS: JW5
    let (app, client) = prepared().await;
    for (name, wrong) in
        [("client_id", "client_unknown"), ("gid", "unknown"), ("gid", "../x"), ("client_id", "' OR 1=1")]
    {
        assert_refused(&app, &with(&app, &client, name, &json!(wrong)), name).await;
    }
}

#[tokio::test]
async fn issued_tokens_have_every_claim_of_rfc_9068() {
    // THREATS: JW6
    let app = TestApp::new().await;
    let other = "https://other.example.test";
    app.api("Other API", other, &["other"]).await;
    let user = app.user("alice@example.com").await;
    let everything = app
        .client(ClientType::Confidential, |client| {
            client.scopes = grantd::model::scope::Scopes::parse("read write other").expect("scopes");
            client.grant_types = GrantType::ALL.to_vec();
        })
        .await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, _) = flow::tokens(&browser, &everything).await;
    let header = part(&access, 0);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert_eq!(members(&header), ["alg", "kid", "typ"]);
    let told = part(&access, 1);
    assert_eq!(members(&told), ["aud", "client_id", "exp", "gid", "iat", "iss", "jti", "scope", "sub"]);
    let now = app.now().seconds();
    assert_eq!(told["iss"], ISSUER);
    assert_eq!((&told["sub"], &told["client_id"]), (&json!(user), &json!(everything.id)));
    assert_eq!((&told["iat"], &told["exp"]), (&json!(now), &json!(now + 3600)));
    assert_eq!((&told["aud"], &told["scope"]), (&json!(API), &json!("read write")));

    // The audience is the requested API, or else the only one of the scopes.
    let mut seen = vec![told["jti"].clone()];
    for (scope, resource, aud) in [
        ("read", "", json!(API)),
        ("other", "", json!(other)),
        ("read other", other, json!(other)),
        ("", API, json!(API)),
    ] {
        let form = [("grant_type", "client_credentials"), ("scope", scope), ("resource", resource)];
        let reply = app.post_as(&everything, "/oauth/token", &form).await;
        reply.status(200);
        let told = part(&reply.text("access_token"), 1);
        assert_eq!(told["aud"], aud, "{scope} {resource}");
        assert_eq!(told["scope"], reply.json()["scope"]);
        assert_eq!(members(&told), ["aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub"]);
        assert_eq!(told["sub"], everything.id);
        assert!(!seen.contains(&told["jti"]));
        seen.push(told["jti"].clone());
    }
    let form = [("grant_type", "client_credentials"), ("scope", "read"), ("resource", other)];
    app.post_as(&everything, "/oauth/token", &form).await.oauth_error("invalid_target");
    let form = [("grant_type", "client_credentials"), ("resource", "https://nobody.example.test")];
    app.post_as(&everything, "/oauth/token", &form).await.oauth_error("invalid_target");
}
