//! Owns tests of odd and hostile input: HX3, HX5, HX6, HX7, HX8, HX11.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{Method, Request, header},
};
use data_encoding::BASE64;
use grantd::model::secret::random_base62;
use hyper::body::Frame;

use crate::harness::{
    Captured, OAuthClient, TestApp,
    app::{CALLBACK, PASSWORD, encode},
    flow, wait,
};

const FORM: &str = "application/x-www-form-urlencoded";

fn post(path: &str, kind: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header(header::CONTENT_TYPE, kind).body(body.into()).expect("a request")
}

/// A chunked body of so many pieces of 100 bytes; with none, it never comes.
struct Pieces(usize);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0 {
            0 => Poll::Pending,
            1 => Poll::Ready(None),
            left => {
                self.0 = left - 1;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 100])))))
            }
        }
    }
}

#[tokio::test]
async fn oversized_input_is_not_read() {
    // THREATS: HX3
    let app = TestApp::with(&[("limits.body_bytes", "2048")]).await;
    let client = app.public().await;
    let authorize = flow::authorize_url(&client, &[]);
    let (path, _) = authorize.split_once('?').expect("a query");
    let pages = [path, "/login", "/consent", "/settings/keys", "/apps", "/logout"];
    let machines = ["/oauth/token", "/oauth/introspect", "/oauth/revoke"];
    for path in machines.iter().chain(&pages) {
        let fits = app.send(post(path, FORM, format!("a={}", "x".repeat(2046)))).await;
        assert_ne!(fits.status.as_u16(), 413, "{path}");
        // With a declared length, and detected while reading.
        let announced = Request::post(*path).header(header::CONTENT_TYPE, FORM).header(header::CONTENT_LENGTH, "2049");
        let announced = announced.body(Body::from(format!("a={}", "x".repeat(2047)))).expect("a request");
        for request in [announced, post(path, FORM, Body::new(Pieces(100)))] {
            let reply = app.send(request).await;
            if machines.contains(path) {
                reply.status(413);
                assert_eq!(reply.json()["error"], "content_too_large");
                assert_eq!(reply.header("cache-control"), "no-store");
            } else {
                reply.page(413);
            }
        }
    }
    let long = "x".repeat(25 * 1024);
    for path in ["/oauth/authorize", "/login", "/v1/users/me", "/nowhere", "/.well-known/jwks.json"] {
        let reply = app.get(&format!("{path}?a={long}")).await;
        reply.status(414);
        assert_eq!(reply.body, "");
        assert!(!reply.header("x-request-id").is_empty());
        app.get(&format!("{path}?a={}", "x".repeat(1024))).await;
    }
    app.post(&format!("/oauth/token?a={long}"), &[]).await.status(414);
    // A body that never comes holds its request for its timeout and no longer.
    let hasty = TestApp::with(&[("limits.request_seconds", "1")]).await;
    let stuck = hasty.send(post("/oauth/token", FORM, Body::new(Pieces(0))));
    let reply = wait::in_time("an answer", stuck).await;
    reply.status(503);
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn deceptive_text_is_refused() {
    // THREATS: HX5
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let (_, key) = app.key(&user, "read").await;
    let malformed: [&[u8]; 14] = [
        b"token=%zz",
        b"token=%",
        b"token=%4",
        b"token=%ff",
        b"token=\xff",
        b"token=%c0%af",
        b"token=%e0%80%af",
        b"token=%ed%a0%80",
        b"token=%f5%80%80%80",
        b"token=%fe%ff",
        b"%ff=x&token=x",
        b"token=x&%zz",
        b"token=x&x=%u0041",
        b"\xef\xbb\xbftoken=x",
    ];
    for body in malformed {
        for path in ["/oauth/introspect", "/oauth/revoke", "/oauth/token"] {
            let mut request = post(path, FORM, Bytes::copy_from_slice(body));
            let basic = client.basic().parse().expect("a header");
            request.headers_mut().insert(header::AUTHORIZATION, basic);
            let reply = app.send(request).await;
            reply.oauth_error("invalid_request");
        }
    }
    // A semicolon separates nothing, and a NUL ends nothing.
    for odd in [format!("{key};x=1"), format!("{key}\u{0}"), format!("\u{feff}{key}"), format!("{key}\r\n")] {
        app.introspect(&odd).await.inactive();
    }
    let mut request = post("/oauth/introspect", FORM, format!("x=1;token={key}"));
    request.headers_mut().insert(header::AUTHORIZATION, app.api.basic().parse().expect("a header"));
    app.send(request).await.oauth_error("invalid_request");
    for query in ["client_id=%ff", "client_id=%zz", "%c0%80=x", "client_id=%"] {
        app.get(&format!("/oauth/authorize?{query}")).await.page(400);
        app.get(&format!("/login?{query}")).await.page(400);
    }
    for json in ["{\"grant_type\":\"\\ud800\"}", "{\"grant_type\":\"x\"}\u{0}", "\u{feff}{}", "{\"grant_type\":1e999}"]
    {
        let mut request = post("/oauth/token", "application/json", json.to_owned());
        request.headers_mut().insert(header::AUTHORIZATION, client.basic().parse().expect("a header"));
        app.send(request).await.oauth_error("invalid_request");
    }
    app.introspect(&key).await.active();
}

#[tokio::test]
async fn malformed_or_oversized_scopes_are_refused() {
    // THREATS: HX6
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let ten_thousand: String = (0..10_000).map(|n| format!("s{n:x} ")).collect();
    let one = "s".repeat(129);
    for scope in [
        ten_thousand.as_str(),
        &one,
        &"read ".repeat(1000),
        "read \"write\"",
        "read\\write",
        "r\u{e9}ad",
        "read\u{0}",
        "read\twrite",
        "read\nwrite",
        "read,write",
        "unknown",
        "READ",
        "*",
    ] {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        app.post_as(&client, "/oauth/token", &form).await.oauth_error("invalid_scope");
    }
    // One MB exceeds the body limit, so no list of scopes is ever that long.
    let huge = "s".repeat(1 << 20);
    app.post_as(&client, "/oauth/token", &[("grant_type", "client_credentials"), ("scope", &huge)]).await.status(413);
    let browser = app.browser();
    for scope in ["read \"write\"", "read\\write", &"read ".repeat(1000)] {
        let reply = browser.get(&flow::authorize_url(&client, &[("scope", scope)])).await;
        reply.redirect_error(CALLBACK, "invalid_scope");
    }
    // Spaces and repeats are not scopes: there is one normal form.
    let form = [("grant_type", "client_credentials"), ("scope", "  write  read read ")];
    assert_eq!(app.post_as(&client, "/oauth/token", &form).await.text("scope"), "read write");
}

#[tokio::test]
async fn names_are_normalized_and_compared_byte_for_byte() {
    // THREATS: HX7
    let app = TestApp::with(&[("limits.login_failures_per_account", "3")]).await;
    app.user("alice@example.com").await;
    let client = app.confidential().await;
    // All of these are one account, so they share one count of failures.
    let guess = |email: &'static str| {
        let app = &app;
        async move {
            let fields = [("email", email), ("password", "wrong password")];
            app.browser().submit("/login", "/login", &fields).await.status.as_u16()
        }
    };
    assert_eq!(guess("alice@example.com").await, 401);
    assert_eq!(guess(" ALICE@example.com ").await, 401);
    assert_eq!(guess("  Alice@EXAMPLE.com").await, 401);
    assert_eq!(guess("aLiCe@Example.Com").await, 429);
    app.advance(900);
    let browser = app.browser();
    let login = |email: &'static str| [("email", email), ("password", PASSWORD)];
    for not_an_address in [
        "alice@example.com@evil.example",
        "alice\u{ff20}example.com",
        "\u{ff41}lice@example.com",
        "alice@example\u{3002}com",
        "alice @example.com",
        "alice@example.com\u{0}",
        "alice@example.com\n",
        "al\u{131}ce@example.com",
        "\"alice\"@example.com",
        "alice",
        "",
    ] {
        browser.submit("/login", "/login", &login(not_an_address)).await.status(401);
    }
    browser.submit("/login", "/login", &login(" Alice@Example.COM ")).await.status(303);
    // Client ids and scopes have exactly one form.
    let id = client.id.as_str();
    for other in
        [id.to_uppercase(), id.to_lowercase(), format!("{id} "), format!("{id}\u{0}"), id.replace('_', "\u{ff3f}")]
    {
        let impostor = OAuthClient { id: other.clone(), ..client.clone() };
        if other != id {
            let reply = app.post_as(&impostor, "/oauth/token", &[("grant_type", "client_credentials")]).await;
            reply.oauth_error("invalid_client");
            app.get(&flow::authorize_url(&impostor, &[])).await.page(400);
        }
    }
    for scope in ["Read", "read\u{200b}", "\u{ff52}ead"] {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        app.post_as(&client, "/oauth/token", &form).await.oauth_error("invalid_scope");
    }
}

#[tokio::test]
async fn line_breaks_do_not_reach_headers_or_logs() {
    // THREATS: HX8
    let log = Captured::start();
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    let evil = "x\r\nSet-Cookie: evil=1\r\n\r\n2026-11-21 ERROR forged\u{85}\u{2028}\u{1b}[31m";
    let encoded: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
    let refused = browser.get(&flow::authorize_url(&client, &[("state", evil), ("scope", "unknown")])).await;
    assert_eq!(refused.redirect_param("state").as_deref(), Some(evil));
    browser.log_in("alice@example.com").await;
    let granted = flow::authorize(&browser, &client, &[("state", evil)]).await;
    assert_eq!(granted.redirect_param("state").as_deref(), Some(evil));
    assert!(granted.redirect_param("code").is_some());
    let mut replies = vec![refused, granted];
    for target in [format!("/{encoded}"), format!("/login?interaction={encoded}"), format!("/apps/{encoded}")] {
        replies.push(browser.get(&target).await);
    }
    let form = [("grant_type", evil), ("scope", evil), ("code", evil), ("token", evil), ("client_id", evil)];
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        replies.push(app.post(path, &form).await);
    }
    for id in ["a b", "a\"b", "<script>", "a\u{e9}", &"a".repeat(65), ""] {
        let request = Request::get("/livez").header("x-request-id", id).header(header::USER_AGENT, "\u{e9}\t<x>");
        let reply = app.send(request.body(Body::empty()).expect("a request")).await;
        assert!(reply.header("x-request-id").starts_with("req_"), "{id}");
        replies.push(reply);
    }
    for reply in &replies {
        assert!(!reply.headers.contains_key("set-cookie") || !format!("{:?}", reply.headers).contains("evil="));
        for (name, value) in &reply.headers {
            assert!(value.as_bytes().iter().all(|b| (0x20..0x7f).contains(b)), "{name}: {value:?}");
        }
    }
    // A harmless id is kept, so that the caller can find the log line.
    let request = Request::get("/nowhere").header("x-request-id", "caller-7.a_B").body(Body::empty());
    assert_eq!(app.send(request.expect("a request")).await.header("x-request-id"), "caller-7.a_B");
    let text = log.text();
    assert!(text.contains("request_id=\"caller-7.a_B\""), "one line a request, its values named");
    for line in text.lines() {
        assert!(line.starts_with("20") && !line.contains("forged") && !line.contains('\u{1b}'), "{line}");
    }
}

#[tokio::test]
async fn input_never_becomes_sql() {
    // THREATS: HX11
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let (key_id, key) = app.key(&user, "read").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let csrf = browser.get("/settings/keys").await.input("csrf");
    for evil in [
        "' OR '1'='1",
        "x'; DROP TABLE users; --",
        "$1",
        "\\",
        "%' OR id LIKE '%",
        "\u{0}",
        "1) OR (1=1",
        "\u{1f511}",
        &format!("{key_id}' OR 'a'='a"),
        &random_base62(5000),
    ] {
        let path: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect::<String>().replace('+', "%20");
        app.introspect(evil).await.inactive();
        app.post_as(&client, "/oauth/revoke", &[("token", evil)]).await.status(200);
        let impostor = OAuthClient { id: evil.to_owned(), secret: Some(evil.to_owned()) };
        let body = encode(&[("client_id", evil), ("client_secret", evil), ("grant_type", "client_credentials")]);
        app.send(post("/oauth/token", FORM, body)).await.oauth_error("invalid_client");
        app.get(&flow::authorize_url(&impostor, &[])).await.page(400);
        app.browser().submit("/login", "/login", &[("email", evil), ("password", evil)]).await.status(401);
        for (method, target) in [
            (Method::POST, format!("/settings/keys/{path}/revoke")),
            (Method::POST, format!("/settings/apps/{path}/revoke")),
            (Method::GET, format!("/apps/{path}")),
            (Method::POST, format!("/apps/{path}")),
            (Method::POST, format!("/apps/{path}/secret")),
            (Method::POST, format!("/apps/{path}/delete")),
        ] {
            let reply = if method == Method::GET {
                browser.get(&target).await
            } else {
                browser.post(&target, &[("csrf", &csrf), ("name", "x"), ("form", evil)]).await
            };
            assert_eq!(reply.status.as_u16(), 404, "{method} {evil:?}");
        }
        browser.get(&format!("/login?interaction={path}")).await.page(400);
        browser.get(&format!("/consent?interaction={path}")).await.page(400);
    }
    let basic = BASE64.encode(b"x%27%20OR%201=1:y");
    let mut request = post("/oauth/token", FORM, "grant_type=client_credentials");
    request.headers_mut().insert(header::AUTHORIZATION, format!("Basic {basic}").parse().expect("a header"));
    app.send(request).await.oauth_error("invalid_client");
    app.introspect(&key).await.active();
    assert_eq!(app.database.column("SELECT email FROM users").await, ["alice@example.com"]);
}
