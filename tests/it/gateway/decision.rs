//! Owns tests of what the gateway allows: credentials, rules, forwarded headers, identity headers.

use super::{app, ask, ask_from};
use crate::harness::TestApp;

async fn key_of(app: &TestApp, scopes: &str) -> (String, String) {
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, scopes).await;
    (user, format!("Bearer {key}"))
}

#[tokio::test]
async fn keys_and_tokens_pass_and_identify_the_caller() {
    let app = app().await;
    let (user, key) = key_of(&app, "read").await;
    let reply = ask(&app, &[("authorization", &key)]).await;
    reply.status(200);
    assert_eq!((reply.header("x-auth-subject"), reply.header("x-auth-credential")), (user.as_str(), "api_key"));
    assert_eq!((reply.header("x-auth-scopes"), reply.header("x-auth-plan")), ("read", "pro"));
    let client = app.confidential().await;
    let token = format!("Bearer {}", app.client_token(&client).await);
    let reply = ask(&app, &[("authorization", &token)]).await;
    reply.status(200);
    assert_eq!((reply.header("x-auth-client"), reply.header("x-auth-key-id")), (client.id.as_str(), ""));
}

#[tokio::test]
async fn identity_headers_are_set_or_cleared_on_every_decision() {
    // THREATS: FA3
    let app = app().await;
    let (_, key) = key_of(&app, "read").await;
    let forged = [("x-auth-subject", "admin"), ("x_auth_subject", "admin"), ("connection", "x-auth-subject")];
    for (credential, status) in [(key.as_str(), 200), ("Bearer gd_live_wrong", 401)] {
        let mut headers = vec![("authorization", credential)];
        headers.extend(forged);
        let reply = ask(&app, &headers).await;
        reply.status(status);
        for name in ["subject", "client", "key-id", "environment", "plan", "scopes", "credential"] {
            let value = reply.headers.get(format!("x-auth-{name}")).expect("every header is set");
            assert_ne!(value, "admin");
            assert!(status == 200 || value.is_empty());
        }
    }
}

#[tokio::test]
async fn refusals_match_the_documents() {
    // THREATS: FA4 FA6
    let app = app().await;
    let reply = ask(&app, &[]).await;
    assert_eq!(reply.status(401).text("error"), "missing_api_key");
    assert_eq!(reply.text("message"), "No API key provided in the Authorization header.");
    assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"grantd\"");
    for bad in ["Bearer nonsense", "Basic abc", "Bearer", "Bearer a b", "\u{1F511}"] {
        let reply = ask(&app, &[("authorization", bad)]).await;
        assert_eq!(reply.status(401).text("error"), "invalid_api_key", "{bad}");
        assert_eq!(reply.text("message"), "The API key provided is invalid.");
    }
    let client = app.confidential().await;
    let token = format!("Bearer {}", app.client_token(&client).await);
    app.advance(3601);
    let reply = ask(&app, &[("authorization", &token)]).await;
    assert_eq!(
        (reply.status(401).text("error"), reply.text("message")),
        ("token_expired".into(), "The access token has expired.".into())
    );
}

#[tokio::test]
async fn conflicting_credentials_are_refused() {
    let app = app().await;
    let (_, key) = key_of(&app, "read").await;
    let reply = ask(&app, &[("authorization", &key), ("authorization", "Bearer other")]).await;
    assert_eq!(reply.status(400).text("error"), "invalid_request");
    ask(&app, &[("authorization", &key), ("authorization", &key)]).await.status(200);
}

#[tokio::test]
async fn rules_decide_by_method_and_path_and_default_to_deny() {
    // THREATS: FA5 FA6
    let app = app().await;
    let (_, key) = key_of(&app, "read").await;
    app.route("example-api", "GET", "/v1/users/{id}", "read", false).await;
    app.route("example-api", "POST", "/v1/users", "write", false).await;
    app.route("example-api", "*", "/public/*", "", true).await;
    let asked = |method: &'static str, uri: &'static str| {
        [("authorization", key.as_str()), ("x-forwarded-method", method), ("x-forwarded-uri", uri)]
    };
    ask(&app, &asked("GET", "/v1/users/7?x=1")).await.status(200);
    let reply = ask(&app, &asked("POST", "/v1/users")).await;
    assert_eq!(reply.status(403).text("error"), "insufficient_scope");
    assert_eq!(
        reply.header("www-authenticate"),
        "Bearer realm=\"grantd\", error=\"insufficient_scope\", scope=\"write\""
    );
    for (method, uri) in [
        ("OPTIONS", "/v1/users/7"),
        ("HEAD", "/v1/users/7"),
        ("GET", "/health"),
        ("GET", "/v1/users/7/x"),
        ("get", "/v1/users/7"),
    ] {
        assert_eq!(ask(&app, &asked(method, uri)).await.status(403).text("error"), "forbidden", "{method} {uri}");
    }
    ask(&app, &[("x-forwarded-method", "GET"), ("x-forwarded-uri", "/public/a"), ("user-agent", "kube-probe/1.0")])
        .await
        .status(200);
    ask(&app, &[("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/users/7"), ("user-agent", "kube-probe/1.0")])
        .await
        .status(401);
    assert_eq!(ask(&app, &[("authorization", &key)]).await.status(400).text("error"), "invalid_request");
}

#[tokio::test]
async fn ambiguous_paths_are_refused() {
    // THREATS: FA2
    let app = app().await;
    let (_, key) = key_of(&app, "read").await;
    app.route("example-api", "*", "/public/*", "read", false).await;
    for uri in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "//public/a",
        "/public/a;b",
        "/public%2fa",
        "/public/a%00",
        "/public/a#b",
        "/public/%61",
        "/public/%C0%AE%C0%AE/admin",
        "/public/%FF",
    ] {
        let reply = ask(&app, &[("authorization", &key), ("x-forwarded-uri", uri)]).await;
        assert_eq!(reply.status(400).text("error"), "invalid_request", "{uri}");
    }
}

#[tokio::test]
async fn other_spellings_of_a_path_do_not_reach_a_weaker_rule() {
    // THREATS: FA2 FA5
    let app = app().await;
    let (_, key) = key_of(&app, "read").await;
    for (method, path, scope, public) in [
        ("GET", "/v1/admin", "write", false),
        ("*", "/v1/keys/*", "write", false),
        ("*", "/v1/files/*", "", true),
        ("*", "/v1/*", "read", false),
    ] {
        app.route("example-api", method, path, scope, public).await;
    }
    let asked = async |method: &str, uri: &str, key: &[(&str, &str)]| {
        let said = [("x-forwarded-method", method), ("x-forwarded-uri", uri)];
        ask(&app, &[&said[..], key].concat()).await
    };
    let key = [("authorization", key.as_str())];
    for (method, uri) in [
        ("GET", "/v1/admin"),
        ("GET", "/v1/admin/"),
        ("GET", "/v1/Admin?x"),
        ("HEAD", "/v1/admin"),
        ("GET", "/v1/keys"),
        ("GET", "/v1/keys/"),
    ] {
        let reply = asked(method, uri, &key).await;
        assert_eq!(reply.status(403).text("error"), "insufficient_scope", "{method} {uri}");
        assert!(reply.header("www-authenticate").contains("scope=\"write\""));
    }
    asked("GET", "/v1/files/a", &[]).await.status(200);
    // A public rule for files does not make their list public.
    for list in ["/v1/files", "/v1/files/", "/v1/FILES"] {
        asked("GET", list, &[]).await.status(401);
        asked("GET", list, &key).await.status(200);
    }
}

#[tokio::test]
async fn forwarded_headers_count_only_from_a_trusted_proxy() {
    // THREATS: FA1
    let app = app().await;
    let (_, key) = key_of(&app, "read").await;
    app.route("example-api", "GET", "/open", "", false).await;
    let headers = [("authorization", key.as_str()), ("x-forwarded-uri", "/open"), ("x-forwarded-method", "GET")];
    ask(&app, &headers).await.status(200);
    ask_from(&app, "203.0.113.9", "/gateway/verify/example-api", &headers).await.status(400);
    for one_more in [("x-forwarded-uri", "/admin"), ("x-forwarded-method", "POST")] {
        ask(&app, &[&headers[..], &[one_more]].concat()).await.status(400);
    }
}

#[tokio::test]
async fn headers_of_the_other_family_from_callers_are_ignored() {
    // THREATS: FA1
    let app = app().await;
    let (_, key) = key_of(&app, "read").await;
    app.route("example-api", "GET", "/v1/users", "read", false).await;
    let key = ("authorization", key.as_str());
    for (one, other) in [("forwarded", "original"), ("original", "forwarded")] {
        let name = |family: &str, what: &str| format!("x-{family}-{what}");
        let asked = async |said: &[(String, &str)]| {
            let said = said.iter().map(|(name, value)| (name.as_str(), *value));
            ask(&app, &said.chain([key]).collect::<Vec<_>>()).await
        };
        let proxy = [(name(one, "method"), "POST"), (name(one, "uri"), "/v1/users")];
        assert_eq!(asked(&proxy).await.status(403).text("error"), "forbidden");
        asked(&[(name(one, "method"), "GET"), proxy[1].clone()]).await.status(200);
        // If the proxy does not send the method, the caller cannot set it, and it does not count as a read.
        for said in [&proxy[1..], &[proxy[1].clone(), (name(other, "method"), "GET")]] {
            assert_eq!(asked(said).await.status(400).text("error"), "invalid_request", "{said:?}");
        }
        for what in ["method", "uri"] {
            let forged = if what == "uri" { "/v1/users" } else { "GET" };
            let said = [&proxy[..], &[(name(other, what), forged)]].concat();
            assert_eq!(asked(&said).await.status(400).text("error"), "invalid_request", "{said:?}");
        }
    }
}

#[tokio::test]
async fn envoy_path_suffix_works_and_a_single_api_needs_no_slug() {
    let app = app().await;
    let (_, key) = key_of(&app, "read").await;
    app.route("example-api", "GET", "/v1/users", "read", false).await;
    let headers = [("authorization", key.as_str())];
    ask_from(&app, "203.0.113.9", "/gateway/verify/example-api/v1/users?x=1", &headers).await.status(200);
    ask_from(&app, "203.0.113.9", "/gateway/verify/example-api/v1/admin", &headers).await.status(403);
    ask_from(&app, super::PROXY, "/gateway/verify/nobody", &headers).await.status(404);
    let named = [headers[0], ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/v1/users")];
    ask_from(&app, super::PROXY, "/gateway/verify", &named).await.status(200);
    app.api("Second", "https://second.example.test", &["other"]).await;
    assert_eq!(
        ask_from(&app, super::PROXY, "/gateway/verify", &named).await.status(400).text("error"),
        "invalid_request"
    );
}

#[tokio::test]
async fn credentials_for_another_api_are_refused() {
    let app = app().await;
    app.api("Second", "https://second.example.test", &["other"]).await;
    let (_, key) = key_of(&app, "other").await;
    assert_eq!(ask(&app, &[("authorization", &key)]).await.status(401).text("error"), "invalid_api_key");
}

#[tokio::test]
async fn browsers_are_refused_without_a_redirect() {
    // THREATS: FA7
    let app = app().await;
    let html = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("x-forwarded-host", "evil.example")];
    let reply = ask(&app, &html).await;
    reply.status(401);
    assert!(reply.headers.get("location").is_none() && reply.headers.get("set-cookie").is_none());
}
