//! Owns tests that an error has the form of its surface, even if a handler panics, hangs, or does not exist.

use std::sync::Arc;

use axum::{Router, routing::get};
use grantd::{
    http::{error::PageError, surface::Surface},
    model::error::Error,
    router::group,
};

use crate::harness::TestApp;

async fn panics() -> &'static str {
    panic!("what nobody should read")
}

async fn is_busy() -> PageError {
    Error::too_many(100, "too many attempts").into()
}

/// A server whose routes panic, hang or refuse, all of one surface.
async fn failing(surface: Surface, changes: &[(&str, &str)]) -> TestApp {
    let mut app = TestApp::with(changes).await;
    let routes = Router::new()
        .route("/panics", get(panics))
        .route("/hangs", get(std::future::pending::<()>))
        .route("/busy", get(is_busy));
    app.router = group(&app.app, surface, routes).with_state(Arc::clone(&app.app));
    app
}

#[tokio::test]
async fn panics_are_500_in_the_form_of_the_surface() {
    // THREATS: HX5
    for _ in 0..2 {
        let person = failing(Surface::Person, &[]).await.get("/panics").await;
        person.page(500);
        assert!(
            person.body.contains("Something went wrong") && !person.body.contains("should read"),
            "{}",
            person.body
        );
        let program = failing(Surface::Program, &[]).await.get("/panics").await;
        let words = r#"{"error":"server_error","error_description":"internal server error"}"#;
        assert_eq!(program.status(500).body, words);
        let management = failing(Surface::Management, &[]).await.get("/panics").await;
        assert_eq!(management.status(500).header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn timeouts_are_answered_in_the_form_of_the_surface() {
    let hasty = [("limits.request_seconds", "1")];
    let page = failing(Surface::Person, &hasty).await.get("/hangs?next=%22%3E").await;
    page.page(503);
    let link = "href=\"https://auth.example.test/hangs?next=%22%3E\">Try again</a>";
    assert!(page.body.contains(link) && !page.body.contains("Sign in"), "{}", page.body);
    let program = failing(Surface::Program, &hasty).await.get("/hangs").await;
    assert_eq!(program.status(503).text("error"), "temporarily_unavailable");
}

#[tokio::test]
async fn pages_say_how_long_to_wait() {
    let page = failing(Surface::Person, &[]).await.get("/busy").await;
    page.page(429);
    assert!(page.body.contains(">Try again in 2 minutes</a>") && !page.body.contains("Sign in"), "{}", page.body);
}

#[tokio::test]
async fn not_found_is_answered_in_the_form_of_the_surface() {
    for (issuer, base) in [("https://auth.example.test", ""), ("https://auth.example.test/tenant", "/tenant")] {
        let app = TestApp::with(&[("issuer", issuer)]).await;
        for path in ["/oauth/nowhere", "/oauth/", "/v1/x/y", "/gateway/x", "/leaks/x", "/.well-known/x", "/api/x"] {
            let reply = app.get(&format!("{base}{path}")).await;
            assert_eq!(reply.status(404).text("error"), "not_found", "{base}{path}");
        }
        let reply = app.get(&format!("{base}/api/v1/nowhere")).await;
        assert_eq!(reply.status(404).header("content-type"), "application/problem+json", "{base}");
        for path in ["/nowhere", "/settings/nowhere", "/oauthx"] {
            app.get(&format!("{base}{path}")).await.page(404);
        }
    }
}
