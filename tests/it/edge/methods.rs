//! Owns tests of responses to unsupported methods, and of which responses are compressed.

use std::io::Read;

use axum::{
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{Method, Request, header},
};
use flate2::read::GzDecoder;
use tower::ServiceExt;

use crate::harness::{Reply, TestApp, flow};

const ROUTER: &str = include_str!("../../../src/router.rs");

async fn send(app: &TestApp, method: Method, path: &str) -> Reply {
    app.send(Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn get_of_a_post_address_is_explained() {
    let app = TestApp::new().await;
    let posts = ROUTER.split(".route(\"").skip(1).filter_map(|route| {
        let (path, rest) = route.split_once("\",")?;
        rest.trim_start().starts_with("post(").then(|| path.replace(['{', '}'], ""))
    });
    let posts: Vec<String> = posts.collect();
    assert!(posts.len() > 15 && posts.iter().any(|path| path == "/logout"), "{posts:?}");
    for path in &posts {
        let reply = send(&app, Method::GET, path).await;
        assert_eq!(reply.status(405).header("allow"), "POST", "{path}");
        match path.as_str() {
            path if path.starts_with("/api/v1/") => {
                assert_eq!(reply.text("title"), "Method not allowed", "{path}")
            }
            path if path.starts_with("/oauth/") || path.starts_with("/leaks/") => {
                assert_eq!(reply.text("error"), "method_not_allowed", "{path}");
                assert_eq!(reply.text("error_description"), "use POST", "{path}");
            }
            _ => assert!(reply.page(405).body.contains("go back and use the button"), "{path}"),
        }
    }
}

#[tokio::test]
async fn wrong_methods_are_answered_in_the_form_of_the_audience() {
    let app = TestApp::new().await;
    let reply = send(&app, Method::POST, "/v1/users/me").await;
    assert_eq!(
        (reply.status(405).text("error"), reply.text("message")),
        ("method_not_allowed".into(), "method not allowed; see the Allow header".into())
    );
    for path in ["/.well-known/jwks.json", "/livez", "/readyz", "/metrics", "/openapi.json"] {
        let reply = send(&app, Method::PUT, path).await;
        assert_eq!(reply.status(405).text("error"), "method_not_allowed", "{path}");
        assert!(reply.header("allow").contains("GET"), "{path}");
    }
    for path in ["/settings/activity", "/", "/apps/new", "/assets/grantd.css", "/api/docs"] {
        let reply = send(&app, Method::POST, path).await;
        assert!(!reply.status(405).body.is_empty() && reply.header("allow").contains("GET"), "{path}");
    }
    send(&app, Method::PUT, "/oauth/authorize").await.page(405);
    let below = TestApp::with(&[("issuer", "https://auth.example.test/auth")]).await;
    let reply = send(&below, Method::GET, "/auth/oauth/token").await;
    assert_eq!(reply.status(405).text("error_description"), "use POST");
    send(&below, Method::GET, "/auth/logout").await.page(405);
}

/// The encoded body and its encoding.
async fn sent(app: &TestApp, path: &str, accepted: &str) -> (Vec<u8>, String) {
    let mut request = Request::get(path).header(header::ACCEPT_ENCODING, accepted).body(Body::empty()).expect("one");
    request.extensions_mut().insert(ConnectInfo(std::net::SocketAddr::from(([192, 0, 2, 1], 4711))));
    let response = app.router.clone().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), 200, "{path}");
    let text = |name| response.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
    assert_eq!(text(header::VARY), "accept-encoding", "{path}");
    let encoding = text(header::CONTENT_ENCODING);
    (to_bytes(response.into_body(), 1 << 20).await.expect("a body").to_vec(), encoding)
}

#[tokio::test]
async fn only_public_documents_are_compressed() {
    let app = TestApp::new().await;
    for path in ["/assets/grantd.css", "/assets/grantd.js", "/api/docs", "/openapi.json"] {
        let (plain, encoding) = sent(&app, path, "identity").await;
        assert_eq!(encoding, "", "{path}");
        for _ in 0..2 {
            let (packed, encoding) = sent(&app, path, "gzip, deflate, br").await;
            assert!(
                encoding == "gzip" && packed.len() * 2 < plain.len(),
                "{path}: {} of {}",
                packed.len(),
                plain.len()
            );
            let mut unpacked = Vec::new();
            GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).expect("gzip");
            assert_eq!(unpacked, plain, "{path}");
        }
    }
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let client = app.public().await;
    let authorize = flow::authorize_url(&client, &[]);
    for path in ["/login", "/settings/keys", "/nowhere", "/.well-known/jwks.json", authorize.as_str()] {
        let request = browser.with_cookies(Request::get(path)).header(header::ACCEPT_ENCODING, "gzip, br");
        let reply = browser.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(reply.header("content-encoding"), "", "{path}");
    }
}
