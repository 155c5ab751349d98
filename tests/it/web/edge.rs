//! Owns tests of what every page has: headers, assets, notices, an issuer with a path.

use axum::{
    body::Body,
    http::{Request, header},
};

use super::sign_in;
use crate::harness::{TestApp, app::PASSWORD, flow::authorize_url};

#[tokio::test]
async fn pages_have_security_headers_even_on_errors() {
    // THREATS: SE3
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    for path in [
        "/settings/keys",
        "/settings/projects",
        "/settings/denied?request_id=x",
        "/settings/activity",
        "/settings/security",
        "/settings/keys/key_missing",
        "/settings/projects/project_missing",
        "/settings/apps",
        "/apps",
        "/apps/new",
        "/apps/callback",
        "/apps/client_missing",
        "/nowhere",
        "/consent",
        "/login?interaction=x",
        "/oauth/authorize?client_id=x",
        "/assets/missing.css",
    ] {
        let reply = browser.get(path).await;
        assert!(reply.header("content-type").starts_with("text/html"), "{path}: {:?}", reply.headers);
        let policy = reply.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "script-src 'self'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(reply.header(name), value, "{path}");
        }
        for inline in [" style=", "<style", " onclick=", "javascript:"] {
            assert!(!reply.body.contains(inline), "{path}: {inline}");
        }
        assert_eq!(reply.body.matches("<script").count(), 1, "{path}");
        assert_eq!(reply.body.matches("<h1").count(), 1, "{path}");
    }
}

#[tokio::test]
async fn notices_are_sentences_with_the_request_id() {
    let app = TestApp::new().await;
    let reply = app.get("/nowhere").await;
    reply.page(404);
    assert!(
        reply.body.contains("There is nothing at this address.") && reply.body.contains(reply.header("x-request-id")),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn assets_are_cached_under_a_version() {
    let app = TestApp::new().await;
    let page = app.get("/login").await;
    for (name, kind) in [
        ("grantd.css", "text/css; charset=utf-8"),
        ("grantd.js", "text/javascript; charset=utf-8"),
        ("favicon.svg", "image/svg+xml"),
    ] {
        assert!(page.body.contains(&format!("/assets/{name}?v=")), "{}", page.body);
        let asset = app.get(&format!("/assets/{name}")).await;
        asset.status(200);
        assert_eq!(
            (asset.header("content-type"), asset.header("cache-control")),
            (kind, "public, max-age=31536000, immutable")
        );
        assert!(!asset.headers.contains_key(header::SET_COOKIE));
    }
    for path in ["/assets/..%2Fbase.html", "/assets/base.html", "/assets/"] {
        app.get(path).await.status(404);
    }
}

#[tokio::test]
async fn pages_are_below_the_issuers_path() {
    let app = TestApp::with(&[("issuer", "https://auth.example.test/auth")]).await;
    app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    let url = format!("/auth{}", authorize_url(&client, &[]));
    let page = browser.follow(browser.get(&url).await).await;
    page.page(200);
    let links = page.body.matches("=\"/").count();
    assert_eq!(links, page.body.matches("=\"/auth/").count(), "{}", page.body);
    let (csrf, interaction) = (page.input("csrf"), page.input("interaction"));
    let form =
        [("csrf", csrf.as_str()), ("interaction", &interaction), ("email", "ada@example.com"), ("password", PASSWORD)];
    let consent = browser.follow(browser.post("/auth/login", &form).await).await;
    assert!(consent.body.contains("name=\"decision\""), "{}", consent.body);
    let keys = browser.get("/auth/settings/keys").await;
    assert_eq!(keys.body.matches("=\"/").count(), keys.body.matches("=\"/auth/").count(), "{}", keys.body);
    assert_eq!(sign_in(&browser, &page, "ada@example.com").await.status.as_u16(), 404, "nothing at the root");
}

#[tokio::test]
async fn posts_read_only_a_form_body() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let csrf = browser.get("/settings/keys").await.input("csrf");
    browser.post(&format!("/settings/keys?csrf={csrf}"), &[]).await.page(400);
    let twice = [("csrf", csrf.as_str()), ("csrf", csrf.as_str()), ("name", "x"), ("scope", "read")];
    browser.post("/settings/keys", &twice).await.page(400);
    let long = "x".repeat(70_000);
    browser.post("/settings/keys", &[("csrf", &csrf), ("name", &long)]).await.page(413);
    let json = browser.with_cookies(Request::post("/settings/keys")).header(header::CONTENT_TYPE, "application/json");
    browser.send(json.body(Body::from(format!("{{\"csrf\":\"{csrf}\"}}"))).expect("a request")).await.page(415);
}

#[tokio::test]
async fn error_pages_have_a_link_and_the_navigation() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    let signed_out = browser.get("/nowhere").await;
    signed_out.page(404);
    assert!(signed_out.body.contains(">Sign in</a>") && !signed_out.body.contains("Sign out"), "{}", signed_out.body);
    browser.log_in("ada@example.com").await;
    for path in ["/nowhere", "/settings/keys/key_missing", "/apps/client_missing"] {
        let page = browser.get(path).await;
        page.page(404);
        for part in ["aria-label=\"Main\"", "Sign out", "href=\"/settings/keys\">Go to your API keys</a>"] {
            assert!(page.body.contains(part), "{path}: {part}: {}", page.body);
        }
    }
}

#[tokio::test]
async fn pages_link_to_the_reference_and_not_to_raw_metadata() {
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    for path in ["/settings/keys", "/settings/projects", "/settings/apps", "/apps", "/settings/activity"] {
        let page = browser.get(path).await;
        page.page(200);
        assert!(page.body.contains("href=\"/api/docs\"") && !page.body.contains("/.well-known/"), "{path}");
    }
    let page = app.get("/login").await;
    assert!(page.body.contains("href=\"/api/docs\""), "{}", page.body);
    assert!(app.get("/api/docs").await.body.contains("/.well-known/oauth-authorization-server"));
}
