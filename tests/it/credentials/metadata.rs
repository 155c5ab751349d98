//! Owns tests of the server's metadata: MD1 to MD4.

use axum::{
    body::Body,
    http::{Request, header},
};
use grantd::engine::signing::JWKS_MAX_AGE_SECONDS;
use serde_json::{Value, json};

use super::members;
use crate::harness::{ISSUER, Reply, TestApp, app::API};

const DOCUMENTS: [&str; 3] =
    ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/jwks.json"];

async fn get_with(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Reply {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    app.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn metadata_uses_the_configured_issuer_whatever_the_host() {
    // THREATS: MD1
    let app = TestApp::configured(&[], |config| {
        config.trusted_proxies = vec!["192.0.2.0/24".parse().expect("a network")];
    })
    .await;
    for path in DOCUMENTS {
        let plain = app.get(path).await;
        plain.status(200);
        let evil = [
            ("host", "evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-prefix", "/evil"),
            ("x-forwarded-port", "8443"),
            ("forwarded", "host=evil.example;proto=http"),
            ("x-original-host", "evil.example"),
            ("x-original-url", "/evil"),
        ];
        get_with(&app, path, &evil).await.same_as(&plain);
        get_with(&app, &format!("http://evil.example{path}"), &evil).await.same_as(&plain);
        get_with(&app, &format!("{path}?issuer=https://evil.example"), &[]).await.same_as(&plain);
    }
    let document = app.get(DOCUMENTS[0]).await.json();
    assert_eq!(document["issuer"], ISSUER);
    for (name, value) in document.as_object().expect("an object") {
        if let Some(url) = value.as_str() {
            assert!(url == ISSUER || url.starts_with(&format!("{ISSUER}/")), "{name}: {url}");
        }
    }
    let page = get_with(&app, "/login", &[("host", "evil.example"), ("x-forwarded-host", "evil.example")]).await;
    assert!(!page.body.contains("evil.example") && !format!("{:?}", page.headers).contains("evil.example"));
}

#[tokio::test]
async fn metadata_of_an_issuer_with_a_path_is_found_in_both_forms() {
    // THREATS: MD2
    let issuer = "https://auth.example.test/tenant/one";
    let app = TestApp::with(&[("issuer", issuer)]).await;
    let inserted = app.get("/.well-known/oauth-authorization-server/tenant/one").await;
    inserted.status(200);
    for suffixed in ["openid-configuration", "oauth-authorization-server"] {
        app.get(&format!("/tenant/one/.well-known/{suffixed}")).await.same_as(&inserted);
    }
    let document = inserted.json();
    assert_eq!(document["issuer"], issuer);
    assert_eq!(document["token_endpoint"], format!("{issuer}/oauth/token"));
    for unknown in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/oauth-authorization-server/tenant/two",
        "/.well-known/oauth-authorization-server/tenant/one/",
        "/tenant/two/.well-known/openid-configuration",
        "/tenant/.well-known/openid-configuration",
        "/tenant/one/tenant/one/.well-known/openid-configuration",
        "/oauth/token",
    ] {
        app.get(unknown).await.status(404);
    }
    every_endpoint_answers(&app, &document, "https://auth.example.test").await;
}

/// Every URL of the document is a route.
async fn every_endpoint_answers(app: &TestApp, document: &Value, origin: &str) {
    for (name, value) in document.as_object().expect("an object") {
        if name.ends_with("_endpoint") || name.ends_with("_uri") {
            let path = value.as_str().expect("a URL").strip_prefix(origin).expect("ours");
            let reply = app.get(path).await;
            assert!([200, 400, 405].contains(&reply.status.as_u16()), "{name}: {}", reply.status);
        }
    }
}

#[tokio::test]
async fn metadata_lists_only_what_works() {
    // THREATS: MD3
    let app = TestApp::new().await;
    let reply = app.get(DOCUMENTS[0]).await;
    let document = reply.json();
    every_endpoint_answers(&app, &document, ISSUER).await;
    assert_eq!(
        document,
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/oauth/authorize"),
            "token_endpoint": format!("{ISSUER}/oauth/token"),
            "introspection_endpoint": format!("{ISSUER}/oauth/introspect"),
            "revocation_endpoint": format!("{ISSUER}/oauth/revoke"),
            "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
            "scopes_supported": ["read", "write"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "authorization_response_iss_parameter_supported": true,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
            "protected_resources": [API],
        })
    );
    // Each listed grant type works at the token endpoint, and others do not.
    let client = app.confidential().await;
    for grant in document["grant_types_supported"].as_array().expect("grants") {
        let form = [("grant_type", grant.as_str().expect("text"))];
        let reply = app.post_as(&client, "/oauth/token", &form).await;
        assert!(reply.status.as_u16() == 200 || reply.json()["error"] == "invalid_request", "{grant}: {}", reply.body);
    }
    for grant in ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "AUTHORIZATION_CODE"] {
        app.post_as(&client, "/oauth/token", &[("grant_type", grant)]).await.oauth_error("unsupported_grant_type");
    }
    // The listed methods work at their endpoints.
    let id = client.id.as_str();
    let secret = client.secret.as_deref().expect("a secret");
    for (path, name, value, status) in [
        ("/oauth/token", "grant_type", "client_credentials", 200),
        ("/oauth/introspect", "token", "x", 200),
        ("/oauth/revoke", "token", "x", 200),
    ] {
        app.post_as(&client, path, &[(name, value)]).await.status(status);
        app.post(path, &[("client_id", id), ("client_secret", secret), (name, value)]).await.status(status);
    }
    app.post_as(&app.public().await, "/oauth/revoke", &[("token", "x")]).await.status(200);
    // The document follows the catalog.
    app.api("Other API", "https://other.example.test", &["other"]).await;
    let document = app.get(DOCUMENTS[1]).await.json();
    assert_eq!(document["scopes_supported"], json!(["other", "read", "write"]));
    assert_eq!(document["protected_resources"], json!([API, "https://other.example.test"]));
}

#[tokio::test]
async fn public_documents_are_cacheable_and_cost_no_query() {
    // THREATS: MD4
    let app = TestApp::new().await;
    let mut before = Vec::new();
    for path in DOCUMENTS {
        let reply = app.get(path).await;
        reply.status(200);
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert!(!reply.headers.contains_key("access-control-allow-credentials"));
        assert_eq!(reply.header("cache-control"), "public, max-age=300");
        let etag = reply.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{etag}");
        let again = get_with(&app, path, &[("if-none-match", &etag)]).await;
        again.status(304);
        assert_eq!((again.body.as_str(), again.header("etag")), ("", etag.as_str()));
        assert_eq!(again.header("cache-control"), "public, max-age=300");
        get_with(&app, path, &[("if-none-match", "\"other\"")]).await.same_as(&reply);
        before.push(reply);
    }
    // Cached for less than the hour by which a new key is published early (see `rotation`).
    assert!((60..3600).contains(&JWKS_MAX_AGE_SECONDS));
    assert_eq!(members(&before[2].json()), ["keys"]);
    // Without any tables, the responses are the same.
    for table in ["signing_keys", "scopes", "apis", "api_keys", "changes", "feed", "meta"] {
        app.database.run(&format!("ALTER TABLE {table} RENAME TO {table}_gone")).await;
    }
    for (path, reply) in DOCUMENTS.into_iter().zip(&before) {
        app.get(path).await.same_as(reply);
    }
    app.get("/readyz").await.status(503);
    let head = Request::head(DOCUMENTS[0]).header(header::ORIGIN, "https://any.example");
    app.send(head.body(Body::empty()).expect("a request")).await.status(200);
    // A new set of keys has a new ETag.
    let app = TestApp::new().await;
    let etag = app.get(DOCUMENTS[2]).await.header("etag").to_owned();
    let algorithm = grantd::model::api::Algorithm::ES256;
    let origin = grantd::model::audit::Origin::default();
    app.app.signing.rotate(app.now(), origin, algorithm, false).await.expect("rotated");
    let reply = get_with(&app, DOCUMENTS[2], &[("if-none-match", &etag)]).await;
    reply.status(200);
    assert_ne!(reply.header("etag"), etag);
}
