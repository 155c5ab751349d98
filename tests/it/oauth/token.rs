//! Owns tests of the token endpoint whatever the grant: methods, bodies, unknown values, the form of responses.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use data_encoding::BASE64URL_NOPAD;
use grantd::model::{
    client::{ClientType, GrantType},
    secret::{self, CODE, REFRESH_TOKEN, Secret},
};
use serde_json::json;

use super::{assert_refused, first_party, once, signed_in, token};
use crate::harness::{
    OAuthClient, Reply, TestApp,
    app::CALLBACK,
    flow::{self, VERIFIER, authorize_url, exchange},
};

const ENDPOINT: &str = "/oauth/token";
const FORM: &str = "application/x-www-form-urlencoded";

/// POST of these bytes by this client.
async fn post(app: &TestApp, client: &OAuthClient, target: &str, media: &str, body: &str) -> Reply {
    let request = Request::post(target).header(header::AUTHORIZATION, client.basic());
    let request = if media.is_empty() { request } else { request.header(header::CONTENT_TYPE, media) };
    app.send(request.body(Body::from(body.to_owned())).expect("a request")).await
}

#[tokio::test]
async fn token_endpoint_accepts_one_form_or_json_object_by_post() {
    // THREATS: CE8
    let app = TestApp::new().await;
    let client = app.confidential().await;
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH] {
        let request = Request::builder().method(method).uri(format!("{ENDPOINT}?grant_type=client_credentials"));
        let reply = app
            .send(request.header(header::AUTHORIZATION, client.basic()).body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(reply.status(405).header("allow"), "POST");
    }
    let right = "grant_type=client_credentials&scope=read";
    for media in
        [FORM, "application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-Urlencoded;charset=utf-8"]
    {
        assert_eq!(post(&app, &client, ENDPOINT, media, right).await.status(200).text("scope"), "read");
    }
    for media in ["application/json", "application/json; charset=utf-8"] {
        let body =
            json!({ "grant_type": "client_credentials", "scope": "read", "resource": ["https://api.example.test"] });
        assert_eq!(post(&app, &client, ENDPOINT, media, &body.to_string()).await.status(200).text("scope"), "read");
    }
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--\r\n";
    for (media, body) in [
        ("multipart/form-data; boundary=x", multipart),
        ("text/plain", right),
        ("", right),
        ("application/jsonx", "{}"),
    ] {
        let reply = post(&app, &client, ENDPOINT, media, body).await;
        assert_eq!(reply.status(415).json()["error"], "unsupported_media_type", "{media}");
    }
    for (target, media, body) in [
        ("/oauth/token?grant_type=client_credentials", FORM, ""),
        ("/oauth/token?scope=read", FORM, right),
        ("/oauth/token?x", FORM, right),
        (ENDPOINT, FORM, "grant_type=client_credentials&grant_type=client_credentials"),
        (ENDPOINT, FORM, "grant_type=client_credentials&scope=read&scope=write"),
        (ENDPOINT, FORM, "grant_type=client_credentials&scope=read&scope="),
        (ENDPOINT, FORM, "grant_type=client_credentials&unknown=1&unknown=1"),
        (ENDPOINT, FORM, "grant_type=client_credentials&scope=%zz"),
        (ENDPOINT, FORM, "grant_type=client_credentials&scope=%ff"),
        (ENDPOINT, "application/json", right),
        (ENDPOINT, "application/json", r#"["grant_type"]"#),
        (ENDPOINT, "application/json", r#"{"grant_type":"client_credentials","grant_type":"client_credentials"}"#),
        (ENDPOINT, "application/json", r#"{"grant_type":"client_credentials","Grant_Type":"x"}"#),
        (ENDPOINT, "application/json", r#"{"grant_type":"client_credentials","scope":["read","write"]}"#),
        (ENDPOINT, "application/json", r#"{"grant_type":{"a":"client_credentials"}}"#),
        (ENDPOINT, FORM, r#"{"grant_type":"client_credentials"}"#),
    ] {
        assert_refused(&post(&app, &client, target, media, body).await, "invalid_request", &[]);
    }
}

#[tokio::test]
async fn missing_unknown_and_disallowed_grant_types_are_refused() {
    // THREATS: CE9
    let app = TestApp::new().await;
    let every = app.confidential().await;
    let nameless: [&[(&str, &str)]; 3] = [&[], &[("grant_type", "")], &[("code", "x")]];
    for form in nameless {
        assert_refused(&token(&app, &every, form).await, "invalid_request", &[]);
    }
    for grant_type in [
        "password",
        "implicit",
        "unknown",
        "AUTHORIZATION_CODE",
        "authorization_code ",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ] {
        let form =
            [("grant_type", grant_type), ("username", "alice@example.com"), ("password", "correct horse battery")];
        assert_refused(&token(&app, &every, &form).await, "unsupported_grant_type", &["correct horse battery"]);
    }
    // Each grant type needs its own parameters.
    for grant_type in ["authorization_code", "refresh_token"] {
        assert_refused(&token(&app, &every, &[("grant_type", grant_type)]).await, "invalid_request", &[]);
    }
    // Everything is right but the client's registration, so each is refused despite valid credentials.
    let browser = signed_in(&app, "alice@example.com").await;
    let (_, refresh_token) = flow::tokens(&browser, &every).await;
    for grant in GrantType::ALL {
        let without = app.client(ClientType::Confidential, |client| {
            client.grant_types = GrantType::ALL.into_iter().filter(|other| *other != grant).collect();
        });
        let form = [
            ("grant_type", grant.as_str()),
            ("code", &flow::code(&browser, &every).await),
            ("refresh_token", &refresh_token),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        assert_refused(&token(&app, &without.await, &form).await, "unauthorized_client", &[&refresh_token]);
        token(&app, &every, &form).await.status(200);
    }
}

#[tokio::test]
async fn token_responses_are_not_cacheable_and_complete() {
    // THREATS: CE10
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let code = flow::code(&browser, &client).await;
    let exchanged = exchange(&app, &client, &code).await;
    let refreshed = flow::refresh(&app, &client, &exchanged.text("refresh_token")).await;
    let own = token(&app, &client, &[("grant_type", "client_credentials"), ("scope", "read")]).await;
    for (reply, scope, members) in [(&exchanged, "read write", 5), (&refreshed, "read write", 5), (&own, "read", 4)] {
        assert_eq!(reply.status(200).header("cache-control"), "no-store");
        assert_eq!(reply.header("content-type"), "application/json");
        let body = reply.json();
        assert_eq!((&body["token_type"], &body["scope"]), (&json!("Bearer"), &json!(scope)));
        assert_eq!(
            (body["expires_in"].as_i64(), body.as_object().map(serde_json::Map::len)),
            (Some(3600), Some(members))
        );
    }
}

#[tokio::test]
async fn internal_errors_reveal_nothing() {
    // THREATS: CE10
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let (code, (_, refresh_token)) = (flow::code(&browser, &client).await, flow::tokens(&browser, &client).await);
    app.database.run("ALTER TABLE grants RENAME TO away").await;
    for reply in [exchange(&app, &client, &code).await, flow::refresh(&app, &client, &refresh_token).await] {
        assert_eq!((reply.status(503).header("retry-after"), reply.header("cache-control")), ("1", "no-store"));
        let said = json!({ "error": "temporarily_unavailable", "error_description": "the service is temporarily unavailable; try again" });
        assert_eq!(reply.json(), said);
    }
    let page = browser.get(&authorize_url(&first_party(&app).await, &[])).await;
    for inside in
        ["away", "SELECT", "INSERT", "table", "sqlx", "src/", app.database.dir.path().to_str().expect("a path")]
    {
        assert!(!page.page(503).body.contains(inside), "{inside}: {}", page.body);
    }
    // The failures used up nothing.
    app.database.run("ALTER TABLE away RENAME TO grants").await;
    exchange(&app, &client, &code).await.status(200);
    flow::refresh(&app, &client, &refresh_token).await.status(200);
}

/// Altered forms of the same secret: cut, extended, other case, other encodings of the same bytes.
fn variants(prefix: &str, token: &str) -> Vec<String> {
    let body = secret::strip_checksum(prefix, token).expect("a body");
    let sealed = |body: &str| Secret::with_checksum(prefix, body).expose().to_owned();
    let mut flipped = token.to_owned();
    let at = token.rfind(|c: char| c.is_ascii_alphabetic()).expect("a letter");
    let letter = char::from(token.as_bytes()[at]);
    let other = if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
    flipped.replace_range(at..=at, &other.to_string());
    let mut out = vec![
        token[..token.len() - 1].to_owned(),
        token[1..].to_owned(),
        format!("{token}0"),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}\0"),
        format!("{token}="),
        token.to_uppercase(),
        token.to_lowercase(),
        flipped,
        // With a right checksum, so that only the MAC can refuse them.
        sealed(&body[..body.len() - 1]),
        sealed(&body[..body.len() - 4]),
        sealed(&format!("{body}A")),
        sealed(&format!("{body}AAAA")),
        sealed(&format!("{body}==")),
        sealed(&body.to_lowercase()),
        token.replace(prefix, &prefix.to_uppercase()),
    ];
    // At some lengths the last letter has bits that decode to nothing; other bits there are another text of equal bytes.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = &body[body.len() - 1..];
    let others = alphabet.split("").filter(|letter| !letter.is_empty() && *letter != last);
    out.extend(others.map(|letter| sealed(&format!("{}{letter}", &body[..body.len() - 1]))));
    if let Ok(bytes) = BASE64URL_NOPAD.decode(body.as_bytes()) {
        out.push(sealed(&data_encoding::BASE64.encode(&bytes)));
        out.push(sealed(&data_encoding::HEXLOWER.encode(&bytes)));
    }
    out.retain(|variant| variant != token);
    out
}

#[tokio::test]
async fn altered_opaque_tokens_are_refused() {
    // THREATS: CE11
    let app = TestApp::new().await;
    let alice = app.user("alice@example.com").await;
    // Without a grace window, so that an altered token taken for the real one would be seen as reuse.
    let client = app.client(ClientType::Confidential, |client| {
        client.first_party = true;
        client.refresh_grace_ms = 0;
    });
    let client = client.await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access_token, refresh_token) = flow::tokens(&browser, &client).await;
    let code = once(&browser.get(&authorize_url(&client, &[])).await, "code");
    for variant in variants(CODE, &code) {
        exchange(&app, &client, &variant).await.oauth_error("invalid_grant");
    }
    for variant in variants(REFRESH_TOKEN, &refresh_token) {
        flow::refresh(&app, &client, &variant).await.oauth_error("invalid_grant");
        app.post_as(&client, "/oauth/introspect", &[("token", &variant)]).await.inactive();
        app.post_as(&client, "/oauth/revoke", &[("token", &variant)]).await.status(200);
    }
    let (_, key) = app.key(&alice, "read").await;
    for variant in variants("gd_live_", &key) {
        app.introspect(&variant).await.inactive();
        app.post_as(&app.api, "/oauth/revoke", &[("token", &variant)]).await.status(200);
        if variant.bytes().all(|b| b.is_ascii_graphic()) {
            app.get_as("/v1/users/me", &variant).await.status(401);
        }
    }
    // All are still valid: no altered form was taken for them.
    app.introspect(&key).await.active();
    app.introspect(&access_token).await.active();
    flow::refresh(&app, &client, &refresh_token).await.status(200);
    exchange(&app, &client, &code).await.status(200);
}
