//! Owns tests that unimplemented standards are neither advertised nor half implemented: the metadata does not name them,
//! their endpoints are not found, and their parameters are refused, or ignored where the standard says that servers
//! without it ignore them; and nothing changes.

use aws_lc_rs::hmac;
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{assert_sent_back, first_party, signed_in};
use crate::harness::{ISSUER, OAuthClient, Reply, TestApp, app::encode, flow, flow::authorize_url};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Everything persistent: users, clients, keys, grants.
async fn lasting(app: &TestApp) -> Vec<String> {
    let tables = ["users\t", "clients\t", "client_secrets\t", "grants\t", "consents\t", "api_keys\t", "projects\t"];
    let dump = app.database.dump_tables().await;
    dump.lines().filter(|line| tables.iter().any(|table| line.starts_with(table))).map(ToOwned::to_owned).collect()
}

/// The metadata has none of these members.
async fn assert_not_promised(app: &TestApp, members: &[&str]) {
    let metadata = app.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["issuer"], ISSUER);
    for member in members {
        assert!(metadata.get(member).is_none(), "{member}: {metadata}");
    }
}

/// Every method is refused at these paths.
async fn assert_not_found(app: &TestApp, paths: &[&str]) {
    for path in paths {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let request = Request::builder().method(method).uri(*path);
            let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from("{}"));
            app.send(request.expect("a request")).await.status(404);
        }
    }
}

fn jwt(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = BASE64URL_NOPAD.encode(&sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn hs256(key: &str) -> impl Fn(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    move |text| hmac::sign(&key, text).as_ref().to_vec()
}

/// A raw form with these headers.
async fn post_with(app: &TestApp, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Reply {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app.send(request.body(encode(form)).expect("a request")).await
}

#[tokio::test]
async fn logout_ignores_redirects_in_the_request() {
    // THREATS: RU5
    let app = TestApp::new().await;
    assert_not_promised(&app, &["end_session_endpoint", "backchannel_logout_supported"]).await;
    assert_not_found(&app, &["/oauth/logout", "/oauth/end_session", "/connect/logout"]).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let evil = "post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F&id_token_hint=x&state=s";
    // A link signs nobody out.
    let link = browser.get(&format!("/logout?{evil}")).await;
    assert!(!link.header("location").contains("evil"), "{:?}", link.headers);
    let page = browser.get("/settings/keys").await;
    page.page(200);
    let csrf = page.input("csrf");
    let form = [("csrf", csrf.as_str()), ("post_logout_redirect_uri", "https://evil.example/"), ("state", "s")];
    browser.post(&format!("/logout?{evil}"), &form).await.page(400);
    let out = browser.post("/logout", &form).await;
    let to = out.location();
    assert!(to.starts_with('/') && !to.starts_with("//") && !to.contains("evil"), "{to}");
    assert!(browser.get("/settings/keys").await.location().starts_with("/login"));
}

#[tokio::test]
async fn client_assertions_are_not_accepted() {
    // THREATS: CA6 CA7 CA8 CA9
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let secret = client.secret.as_deref().expect("a secret");
    assert_not_promised(&app, &["token_endpoint_auth_signing_alg_values_supported"]).await;
    let metadata = app.get("/.well-known/oauth-authorization-server").await.json();
    for endpoint in ["token", "introspection", "revocation"] {
        let methods = metadata[format!("{endpoint}_endpoint_auth_methods_supported")].to_string();
        assert!(methods.contains("client_secret_basic") && !methods.contains("jwt"), "{methods}");
    }
    let now = app.now().seconds();
    let claims = |aud: Value, exp: Value| json!({ "iss": client.id, "sub": client.id, "aud": aud, "exp": exp, "iat": now, "jti": "one" });
    let good = claims(json!(ISSUER), json!(now + 60));
    let hs = json!({ "alg": "HS256", "typ": "JWT" });
    let jwks = app.get("/.well-known/jwks.json").await.body;
    let unsigned = jwt(&json!({ "alg": "none" }), &good, |_| Vec::new());
    let by_public_key = jwt(&hs, &good, hs256(&jwks));
    // What a server with client_secret_jwt would accept.
    let by_secret = jwt(&hs, &good, hs256(secret));
    let endless = jwt(&hs, &claims(json!(ISSUER), Value::Null), hs256(secret));
    let text = jwt(&hs, &claims(json!(ISSUER), json!("soon")), hs256(secret));
    let elsewhere = jwt(&hs, &claims(json!(["https://other.example"]), json!(now + 60)), hs256(secret));
    let state = lasting(&app).await;
    for assertion in [&unsigned, &by_public_key, &by_secret, &by_secret, &endless, &text, &elsewhere] {
        for (path, what) in [
            ("/oauth/token", ("grant_type", "client_credentials")),
            ("/oauth/introspect", ("token", "x")),
            ("/oauth/revoke", ("token", "x")),
        ] {
            let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)];
            app.post(path, &[&[what][..], &proof].concat()).await.oauth_error("invalid_client");
            let named = [&[what, ("client_id", client.id.as_str())][..], &proof].concat();
            app.post(path, &named).await.oauth_error("invalid_client");
        }
    }
    assert_eq!(lasting(&app).await, state);
}

#[tokio::test]
async fn device_flow_is_absent() {
    // THREATS: DG1 DG2 DG3 DG4 DG5 DG6 DG7 DG8
    let app = TestApp::new().await;
    assert_not_promised(&app, &["device_authorization_endpoint"]).await;
    assert_not_found(&app, &["/oauth/device_authorization", "/oauth/device", "/device", "/device/approve"]).await;
    let (confidential, public) = (app.confidential().await, app.public().await);
    let state = lasting(&app).await;
    for client in [&confidential, &public] {
        for form in [&[("device_code", "x")][..], &[("device_code", "x"), ("user_code", "BCDF-GHJK")], &[]] {
            let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
            let form = [&[grant][..], form].concat();
            app.post_as(client, "/oauth/token", &form).await.oauth_error("unsupported_grant_type");
        }
    }
    assert_eq!(lasting(&app).await, state);
}

#[tokio::test]
async fn token_exchange_is_absent() {
    // THREATS: TX1 TX2 TX3 TX4 TX5 TX6 TX7 TX9
    const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let (subject, _) = flow::tokens(&browser, &client).await;
    let foreign = jwt(&json!({ "alg": "none" }), &json!({ "sub": "alice" }), |_| Vec::new());
    let state = lasting(&app).await;
    let metadata = app.get("/.well-known/oauth-authorization-server").await.json();
    assert!(!metadata["grant_types_supported"].to_string().contains("urn:"), "{metadata}");
    let grants = ["urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"];
    for grant in grants {
        for form in [
            &[("subject_token", subject.as_str()), ("subject_token_type", ACCESS)][..],
            &[("subject_token", &subject), ("subject_token_type", ACCESS), ("scope", "read"), ("audience", "x")],
            &[("subject_token", &subject), ("subject_token_type", ACCESS), ("actor_token", &subject)],
            &[("subject_token", &foreign), ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")],
            &[("assertion", &foreign)],
        ] {
            let reply = app.post_as(&client, "/oauth/token", &[&[("grant_type", grant)][..], form].concat()).await;
            reply.oauth_error("unsupported_grant_type");
        }
    }
    assert_eq!(lasting(&app).await, state);
    app.introspect(&subject).await.active();
}

#[tokio::test]
async fn pushed_and_signed_requests_are_absent() {
    // THREATS: PR1 PR2 PR3 PR4 PR5 PR6 PR7 PR8 PR9 PR10 PR11
    let app = TestApp::new().await;
    let absent = [
        "pushed_authorization_request_endpoint",
        "require_pushed_authorization_requests",
        "request_object_signing_alg_values_supported",
        "request_object_encryption_alg_values_supported",
        "require_signed_request_object",
    ];
    assert_not_promised(&app, &absent).await;
    assert_not_found(&app, &["/oauth/par", "/oauth/request", "/par"]).await;
    let client = first_party(&app).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let state = lasting(&app).await;
    let claims = json!({ "client_id": client.id, "response_type": "code", "scope": "read" });
    let unsigned = jwt(&json!({ "alg": "none", "typ": "oauth-authz-req+jwt" }), &claims, |_| Vec::new());
    let secret = client.secret.as_deref().expect("a secret");
    let signed = jwt(&json!({ "alg": "HS256", "typ": "oauth-authz-req+jwt" }), &claims, hs256(secret));
    for object in [unsigned.as_str(), &signed, &claims.to_string(), "x"] {
        let reply = browser.get(&authorize_url(&client, &[("request", object)])).await;
        assert_sent_back(&reply, "request_not_supported");
        let both = [("request", object), ("request_uri", "urn:ietf:params:oauth:request_uri:x")];
        let reply = browser.get(&authorize_url(&client, &both)).await;
        assert!(reply.redirect_param("error").is_some_and(|error| error.ends_with("_not_supported")), "{reply:?}");
        assert_eq!(reply.redirect_param("code"), None);
    }
    let pushed = [("request_uri", "urn:ietf:params:oauth:request_uri:x")];
    let reply = browser.get(&authorize_url(&client, &pushed)).await;
    assert_sent_back(&reply, "request_uri_not_supported");
    // Only the request itself decides the redirect.
    let alone = format!("/oauth/authorize?client_id={}&{}={}", client.id, pushed[0].0, pushed[0].1);
    browser.get(&alone).await.page(400);
    assert_eq!(lasting(&app).await, state);
}

#[tokio::test]
async fn dpop_proofs_are_ignored_and_tokens_unbound() {
    // THREATS: DP1 DP2 DP3 DP4 DP5 DP6 DP7 DP8
    let app = TestApp::new().await;
    assert_not_promised(&app, &["dpop_signing_alg_values_supported", "dpop_bound_access_tokens"]).await;
    let client = app.confidential().await;
    let proof = jwt(
        &json!({ "typ": "dpop+jwt", "alg": "HS256", "jwk": { "kty": "oct", "k": "eA" } }),
        &json!({ "htm": "POST", "htu": format!("{ISSUER}/oauth/token"), "iat": app.now().seconds(), "jti": "one" }),
        hs256("x"),
    );
    // A server without DPoP ignores the header (RFC 9449 §5): the response says Bearer, so the client can tell.
    let basic = client.basic();
    for proofs in [&[("dpop", proof.as_str())][..], &[("dpop", &proof), ("dpop", &proof)], &[("dpop", "garbage")]] {
        let headers = [&[("authorization", basic.as_str())][..], proofs].concat();
        let reply = post_with(&app, "/oauth/token", &headers, &[("grant_type", "client_credentials")]).await;
        assert_eq!(reply.status(200).text("token_type"), "Bearer");
        assert!(!reply.headers.contains_key("dpop-nonce"));
        let token = reply.text("access_token");
        let claims = token.split('.').nth(1).expect("claims");
        let claims: Value =
            serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).expect("base64url")).expect("JSON");
        assert!(claims.get("cnf").is_none(), "{claims}");
        assert!(app.introspect(&token).await.active().get("cnf").is_none());
    }
    let browser = signed_in(&app, "alice@example.com").await;
    let reply =
        flow::authorize(&browser, &client, &[("dpop_jkt", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")]).await;
    let code = reply.redirect_param("code").expect("a code");
    let token = flow::exchange(&app, &client, &code).await.status(200).text("access_token");
    // The scheme is unknown for presented tokens too.
    let request = Request::get("/v1/users/me").header("authorization", format!("DPoP {token}")).header("dpop", proof);
    app.send(request.body(Body::empty()).expect("a request")).await.status(401);
    app.get_as("/v1/users/me", &token).await.status(200);
}

#[tokio::test]
async fn dynamic_registration_is_absent() {
    // THREATS: DR1 DR3 DR4 DR5 DR6 DR7 DR8 DR9
    let app = TestApp::new().await;
    assert_not_promised(&app, &["registration_endpoint"]).await;
    let client = app.confidential().await;
    let own = format!("/oauth/register/{}", client.id);
    let state = lasting(&app).await;
    assert_not_found(&app, &["/oauth/register", "/register", "/connect/register", &own]).await;
    // The management API is not open registration: it requires a key.
    let document = json!({
        "name": "App", "redirect_uris": ["https://evil.example/cb"], "client_name": "App",
        "jwks_uri": "http://127.0.0.1:1/jwks", "logo_uri": "http://127.0.0.1:1/logo",
    });
    for credential in ["", "Bearer x", "Bearer registration-access-token"] {
        let request = Request::post("/api/v1/clients").header(header::CONTENT_TYPE, "application/json");
        let request = request.header("authorization", credential).body(Body::from(document.to_string()));
        app.send(request.expect("a request")).await.status(401);
    }
    assert_eq!(lasting(&app).await, state);
}

#[tokio::test]
async fn client_id_urls_are_unknown_and_not_fetched() {
    // THREATS: CM1 CM2 CM3 CM4 CM5 CM6 CM7 CM8 CM9 CM10 CM11 CM12
    let app = TestApp::new().await;
    assert_not_promised(&app, &["client_id_metadata_document_supported"]).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port").into_std().expect("a listener");
    let here = listener.local_addr().expect("an address");
    let port = here.port();
    let state = lasting(&app).await;
    for id in [
        format!("https://{here}/client.json"),
        format!("http://{here}/client.json"),
        format!("https://localhost:{port}/a/%2e%2e/client.json"),
        format!("https://user@127.0.0.1:{port}/client.json#x"),
        format!("https://[::ffff:127.0.0.1]:{port}/client.json"),
        format!("https://2130706433:{port}/"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let client = OAuthClient { id, secret: None };
        browser.get(&authorize_url(&client, &[])).await.page(400);
        app.post_as(&client, "/oauth/token", &[("grant_type", "client_credentials")])
            .await
            .oauth_error("invalid_client");
        app.post_as(&client, "/oauth/revoke", &[("token", "x")]).await.oauth_error("invalid_client");
    }
    // An opened connection would be waiting here by now.
    assert_eq!(listener.accept().map_err(|error| error.kind()).err(), Some(std::io::ErrorKind::WouldBlock));
    assert_eq!(lasting(&app).await, state);
    for client in [app.confidential().await, app.public().await] {
        assert!(!client.id.contains([':', '/', '.']), "{}", client.id);
    }
}

#[tokio::test]
async fn introspection_answers_only_json() {
    // THREATS: IN3
    let app = TestApp::new().await;
    let absent = ["introspection_signing_alg_values_supported", "introspection_encryption_alg_values_supported"];
    assert_not_promised(&app, &absent).await;
    let client = app.confidential().await;
    let token = app.client_token(&client).await;
    let (api, stranger) = (app.api.basic(), app.api("Other", "https://other.example.test", &["other"]).await.basic());
    for accept in ["application/token-introspection+jwt", "application/jwt", "application/json", "*/*"] {
        let ask = async |caller: &str, token: &str| {
            let headers = [("authorization", caller), ("accept", accept)];
            let reply = post_with(&app, "/oauth/introspect", &headers, &[("token", token)]).await;
            assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("application/json", "no-store"));
            reply
        };
        assert_eq!(ask(&api, &token).await.active()["aud"], crate::harness::app::API);
        // Another response format reveals nothing to other callers.
        ask(&stranger, &token).await.inactive();
        ask(&api, "garbage").await.inactive();
    }
}

#[tokio::test]
async fn password_reset_links_are_absent() {
    // THREATS: SE10
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let state = lasting(&app).await;
    let paths = ["/reset", "/forgot", "/password/reset", "/login/reset", "/login/forgot", "/verify", "/verify-email"];
    assert_not_found(&app, &paths).await;
    for (name, value) in [("email", "alice@example.com"), ("token", "x")] {
        let form = [(name, value), ("password", "another good password")];
        for path in paths {
            app.post(path, &form).await.status(404);
        }
    }
    let page = app.get("/login").await;
    page.page(200);
    for word in ["href=\"/reset", "href=\"/forgot", "href=\"/password", "formaction"] {
        assert!(!page.body.contains(word), "{word}: {}", page.body);
    }
    assert_eq!(lasting(&app).await, state);
    app.browser().log_in("alice@example.com").await;
}
