//! Owns tests of the subrequests of proxies that do not run here: Traefik and Envoy, as their documentation describes
//! them, with the configuration in the examples; and the form of nginx's subrequests. What Traefik and Envoy do with
//! grantd's response is not tested; the tests only check the text of the examples. nginx, Caddy and
//! Apache really run, in `proxies`.

use axum::{body::Body, http::Request};
use serde_json::json;

use super::{PROXY, app, ask_from};
use crate::harness::{Reply, TestApp};

const TRAEFIK: &str = include_str!("../../../examples/gateway/traefik.yaml");
const ENVOY: &str = include_str!("../../../examples/gateway/envoy.yaml");

/// The value of a key that occurs once in an example file.
#[track_caller]
fn value<'f>(file: &'f str, key: &str) -> &'f str {
    let found: Vec<&str> = file.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": ")).collect();
    assert_eq!(found.len(), 1, "{key}");
    found[0]
}

/// An API with the examples' slug, and a key with read access.
async fn example() -> (TestApp, String) {
    let app = app().await;
    app.api("Example", "https://example.example.test", &["see", "change"]).await;
    app.route("example", "GET", "/", "see", false).await;
    app.route("example", "GET", "/v1/users", "see", false).await;
    app.route("example", "POST", "/v1/users", "change", false).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "see").await;
    (app, format!("Bearer {key}"))
}

/// ForwardAuth: a GET with every header of the request, and the original request in `X-Forwarded-*`, which Traefik sets
/// itself if `trustForwardHeader` is off.
async fn traefik(app: &TestApp, method: &str, uri: &str, headers: &[(&str, &str)]) -> Reply {
    assert_eq!(value(TRAEFIK, "trustForwardHeader"), "false");
    let address = url::Url::parse(value(TRAEFIK, "address")).expect("a URL");
    let forwarded = [
        ("x-forwarded-method", method),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "api.example.com"),
        ("x-forwarded-uri", uri),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    ask_from(app, PROXY, address.path(), &[headers, &forwarded].concat()).await
}

/// `ext_authz`: the request's own method, its path after the prefix, the allowed headers and no body.
async fn envoy(app: &TestApp, method: &str, uri: &str, headers: &[(&str, &str)]) -> Reply {
    let (_, allowed) = ENVOY.split_once("allowed_headers:").expect("a list");
    let allowed: Vec<&str> = allowed
        .lines()
        .skip(2)
        .map_while(|line| line.trim().strip_prefix("- exact: "))
        .chain(["authorization"])
        .collect();
    let target = format!("{}{uri}", value(ENVOY, "path_prefix"));
    let request =
        Request::builder().method(method).uri(target).header("host", "api.example.com").header("content-length", "0");
    let request = headers
        .iter()
        .filter(|(name, _)| allowed.contains(name))
        .fold(request, |request, (name, value)| request.header(*name, *value));
    app.send_from(PROXY, request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn traefik_and_envoy_get_the_same_identity_headers() {
    let (app, bearer) = example().await;
    let key = [("authorization", bearer.as_str()), ("x-request-id", "my-own-id"), ("user-agent", "tests/1.0")];
    for uri in ["/v1/users", "/v1/users?x=1&path=/v1/admin", "/"] {
        for reply in [traefik(&app, "GET", uri, &key).await, envoy(&app, "GET", uri, &key).await] {
            assert_eq!(reply.status(200).header("x-auth-scopes"), "see", "{uri}");
            assert_eq!((reply.header("x-auth-plan"), reply.header("x-request-id")), ("pro", "my-own-id"));
            assert_eq!(reply.header("x-ratelimit-limit"), "10000");
        }
    }
    for (method, uri, headers, status, error) in [
        ("POST", "/v1/users", &key[..], 403, "insufficient_scope"),
        ("OPTIONS", "/v1/users", &key, 403, "forbidden"),
        ("GET", "/v1/admin", &key, 403, "forbidden"),
        ("GET", "/v1/users", &[], 401, "missing_api_key"),
        ("GET", "/v1/users", &[("authorization", "Bearer nonsense")], 401, "invalid_api_key"),
        ("GET", "//v1/users", &key, 400, "invalid_request"),
        ("GET", "/v1/x/../users", &key, 400, "invalid_request"),
        ("GET", "/v1/%75sers", &key, 400, "invalid_request"),
        ("GET", "/v1/users;x", &key, 400, "invalid_request"),
    ] {
        for reply in [traefik(&app, method, uri, headers).await, envoy(&app, method, uri, headers).await] {
            assert_eq!(reply.status(status).text("error"), error, "{method} {uri}");
            assert_eq!(reply.header("x-auth-subject"), "");
        }
    }
}

#[tokio::test]
async fn examples_for_traefik_and_envoy_remove_forged_identity() {
    // Not FA3: no Traefik or Envoy has run with these texts. Only the header names in them are checked.
    let (app, bearer) = example().await;
    let reply = traefik(&app, "GET", "/v1/users", &[("authorization", &bearer)]).await;
    let known: Vec<&str> =
        reply.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-auth-")).collect();
    assert!(known.len() >= 9, "{known:?}");
    for name in known {
        assert!(ENVOY.contains(&format!("- remove: {name}\n")), "{name}");
    }
    assert!(ENVOY.contains("headers_with_underscores_action: REJECT_REQUEST") && ENVOY.contains("- prefix: x-auth-\n"));
    assert!(ENVOY.contains("failure_mode_allow: false"));
    assert!(value(TRAEFIK, "authResponseHeadersRegex").starts_with("(?i)^(X[-_]Auth[-_].*|"));
}

#[tokio::test]
async fn nginx_gets_refusals_it_can_forward() {
    let (app, bearer) = example().await;
    let ask = async |headers: &[(&str, &str)]| {
        let all = [headers, &[("x-grantd-proxy", "nginx"), ("x-forwarded-uri", "/v1/users")]].concat();
        let has_method = headers.iter().any(|(name, _)| *name == "x-forwarded-method");
        let all = [&all[..], if has_method { &[] } else { &[("x-forwarded-method", "GET")] }].concat();
        ask_from(&app, PROXY, "/gateway/verify/example", &all).await
    };
    let reply = ask(&[("authorization", &bearer)]).await;
    assert_eq!((reply.status(200).header("x-auth-status"), reply.header("x-auth-body")), ("", ""));
    let reply = ask(&[]).await;
    assert_eq!((reply.status(403).header("x-auth-status"), reply.body.as_str()), ("401", ""));
    assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"grantd\"");
    let body: serde_json::Value = serde_json::from_str(reply.header("x-auth-body")).expect("JSON");
    assert_eq!(
        body,
        json!({ "error": "missing_api_key", "message": "No API key provided in the Authorization header." })
    );
    let reply = ask(&[("authorization", &bearer), ("x-forwarded-method", "POST")]).await;
    assert_eq!(reply.status(403).header("x-auth-status"), "403");
    // A client that sends this header itself changes the form of its own refusal and nothing else.
    ask_from(&app, "203.0.113.9", "/gateway/verify/example", &[("x-grantd-proxy", "nginx")]).await.status(403);
}
