//! Owns tests of ambiguity at the gateway: which request, which method, whose scopes, and which APIs exist.

use std::sync::Arc;

use axum::{body::Body, extract::ConnectInfo, http::Request};
use grantd::{app::App, model::clock::Clock, router::router};
use tower::ServiceExt;

use super::{PROXY, app, ask, ask_from};
use crate::harness::Reply;

#[tokio::test]
async fn appended_path_and_forwarded_request_must_agree() {
    // THREATS: FA1 FA2
    let app = app().await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let bearer = format!("Bearer {key}");
    app.route("example-api", "GET", "/", "", true).await;
    app.route("example-api", "GET", "/v1/users", "read", false).await;
    app.route("example-api", "*", "/v1/admin", "write", false).await;
    let target = "/gateway/verify/example-api";
    for peer in [PROXY, "203.0.113.9"] {
        for family in ["forwarded", "original"] {
            let (method_name, uri_name) = (format!("x-{family}-method"), format!("x-{family}-uri"));
            for (appended, method, uri, status) in [
                // One slash too many at the end of the address in the proxy's configuration.
                ("/", "DELETE", "/v1/admin", 400),
                ("/", "GET", "/v1/admin", 400),
                ("/", "POST", "/", 400),
                ("/v1/users", "GET", "/v1/admin", 400),
                ("/v1/users", "DELETE", "/v1/users", 400),
                ("/v1/users?x=1", "GET", "/v1/users", 400),
                ("/", "GET", "/", 200),
                ("/v1/users", "GET", "/v1/users", 200),
                ("/v1/admin", "GET", "/v1/admin", 403),
            ] {
                let headers = [("authorization", bearer.as_str()), (&method_name, method), (&uri_name, uri)];
                let reply = ask_from(&app, peer, &format!("{target}{appended}"), &headers).await;
                assert_eq!(reply.status, status, "{peer} {family} {appended} {method} {uri}: {}", reply.body);
                if appended == "/" && status == 400 {
                    let reply = ask_from(&app, peer, &format!("{target}/"), &headers[1..]).await;
                    assert!(reply.status(400).text("message").contains("in headers and another in the path"));
                }
            }
            let alone = [("authorization", bearer.as_str()), (uri_name.as_str(), "/v1/admin")];
            ask_from(&app, peer, &format!("{target}/"), &alone).await.status(400);
        }
        ask_from(&app, peer, &format!("{target}/"), &[]).await.status(200);
        // nginx always asks by GET, so a lone slash says nothing about the request.
        let nginx = ask_from(&app, peer, &format!("{target}/"), &[("x-grantd-proxy", "nginx")]).await;
        assert!(nginx.status == 403 && nginx.header("x-auth-status") == "400", "{nginx:?}");
    }
}

#[tokio::test]
async fn upstream_sees_only_its_own_scopes() {
    // THREATS: FA3 IN2
    let app = app().await;
    app.api("Other", "https://other.example.test", &["other"]).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "grantd:keys:read other read write").await;
    let bearer = format!("Bearer {key}");
    let reply = ask(&app, &[("authorization", &bearer)]).await;
    assert_eq!(reply.status(200).header("x-auth-scopes"), "read write");
    let reply = ask_from(&app, PROXY, "/gateway/verify/other", &[("authorization", &bearer)]).await;
    assert_eq!(reply.status(200).header("x-auth-scopes"), "other");
}

#[tokio::test]
async fn method_overrides_are_refused_if_rules_depend_on_methods() {
    // THREATS: FA5
    let app = app().await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let bearer = format!("Bearer {key}");
    app.route("example-api", "*", "/open", "read", false).await;
    let asked = async |name: &str, method: &str| {
        let said = [("x-forwarded-method", "POST"), ("x-forwarded-uri", "/open"), ("authorization", bearer.as_str())];
        ask(&app, &[&said[..], &[(name, method)]].concat()).await
    };
    asked("x-http-method-override", "DELETE").await.status(200);
    app.route("example-api", "DELETE", "/things", "write", false).await;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        assert_eq!(asked(name, "DELETE").await.status(400).text("message"), "The request names two methods.", "{name}");
        asked(name, "delete").await.status(400);
        asked(name, "POST").await.status(200);
    }
}

#[tokio::test]
async fn unknown_apis_are_looked_up_at_most_once_a_second() {
    let app = app().await;
    // A node that follows no feed: it knows what it read at its start, or looked up.
    let clock = Clock::manual(app.now());
    let node = Arc::new(App::new(app.app.config.clone(), app.master.clone(), clock).await.expect("a node"));
    let routes = router(Arc::clone(&node));
    let ask = async |slug: &str| {
        let mut request = Request::get(format!("/gateway/verify/{slug}")).body(Body::empty()).expect("a request");
        request.extensions_mut().insert(ConnectInfo(std::net::SocketAddr::from(([10, 0, 0, 1], 4711))));
        Reply::of(routes.clone().oneshot(request).await.expect("infallible")).await
    };
    app.api("Later", "https://later.example.test", &["later"]).await;
    ask("later").await.status(401);
    app.api("Latest", "https://latest.example.test", &["latest"]).await;
    // Within a second of the last lookup there is no other, whatever the name.
    app.database.run("ALTER TABLE apis RENAME TO hidden").await;
    for slug in ["latest", "nobody", "nobody-else"] {
        ask(slug).await.status(404);
    }
    ask("later").await.status(401);
    node.clock.advance_seconds(1);
    ask("nobody").await.status(503);
    ask("nobody").await.status(404);
    app.database.run("ALTER TABLE hidden RENAME TO apis").await;
    node.clock.advance_seconds(1);
    ask("latest").await.status(401);
    ask("nobody").await.status(404);
}
