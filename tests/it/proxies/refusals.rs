//! Owns tests of what proxies refuse, and that callers see the reason in the form of the API's document.

use serde_json::json;

use super::{EMAIL, Front, at_each_proxy};
use crate::harness::Reply;

/// Spellings of a path that a user with read access must not reach.
const TRICKS: [&str; 31] = [
    "//admin/a",
    "/public//../admin/a",
    "/public/../admin/a",
    "/public/..%2fadmin/a",
    "/public/%2e%2e/admin/a",
    "/public/%2E%2E%2Fadmin/a",
    "/public/.%2e/admin/a",
    "/public%2f..%2fadmin/a",
    "/public/..;/admin/a",
    "/public;x/../admin/a",
    "/public/a;x=1",
    "/public/..\\admin/a",
    "/public/%5c..%5cadmin/a",
    "/public/%00/admin/a",
    "/public/a%00",
    "/public/%252e%252e/admin/a",
    "/%61dmin/a",
    "/admin/a",
    "/admin//a",
    "/Admin/a",
    "/ADMIN/a",
    "/public/a#/../../admin/a",
    "/_grantd",
    "/gateway/verify/example",
    "/metrics",
    "http://api.example.com/admin/a",
    "http://api.example.com/public/../admin/a",
    "admin/a",
    "*",
    "/public/\u{0}/a",
    "/public/\u{7f}",
];

at_each_proxy!(
    who_may_not_is_told_so_in_the_documents_words,
    a_path_or_method_that_tricks_the_proxy_tricks_nobody,
    over_the_plan_is_429_with_the_time_to_wait,
    without_grantd_nobody_gets_in,
);

/// Asserts a refusal with its whole body, which must not be cached.
#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str, message: &str, challenge: &str) {
    reply.status(status);
    assert_eq!(reply.json(), json!({ "error": error, "message": message }));
    assert!(reply.header("content-type").starts_with("application/json"), "{reply:?}");
    let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
    let expected: Vec<&str> = Some(challenge).filter(|text| !text.is_empty()).into_iter().collect();
    assert_eq!(challenges, expected, "{reply:?}");
    assert_eq!(reply.headers.get_all("x-request-id").iter().count(), 1, "{reply:?}");
}

async fn who_may_not_is_told_so_in_the_documents_words(front: Front) {
    // THREATS: FA4 FA6
    let missing = "No API key provided in the Authorization header.";
    let reply = front.raw("GET /v1/users", &[("X-Request-ID", "my-own-id-8")]).await;
    refused(&reply, 401, "missing_api_key", missing, "Bearer realm=\"grantd\"");
    assert_eq!(reply.header("x-request-id"), "my-own-id-8");
    let invalid = "Bearer realm=\"grantd\", error=\"invalid_token\"";
    for bad in ["Bearer nonsense", "Basic YTpi", "Bearer", "Bearer a b", "Bearer \u{1F511}", "bearer gd_live_x"] {
        let reply = front.raw("GET /v1/users", &[("Authorization", bad)]).await;
        refused(&reply, 401, "invalid_api_key", "The API key provided is invalid.", invalid);
    }
    // Conflicting credentials, and a credential in an unsupported place.
    let bearer = format!("Bearer {}", front.key);
    let reply = front.raw("GET /v1/users", &[("Authorization", &bearer), ("Authorization", "Bearer other")]).await;
    assert!([400, 401].contains(&reply.status.as_u16()), "{reply:?}");
    front.raw("GET /v1/users", &[("X-API-Key", &front.key)]).await.status(401);
    let reply = front.raw(&format!("GET /v1/users?api_key={}", front.key), &[]).await;
    let message = "Credentials belong in a header, not in the URL. Revoke this one.";
    refused(&reply, 400, "invalid_request", message, "");
    // Authenticated, but not allowed.
    let lacks = "Bearer realm=\"grantd\", error=\"insufficient_scope\", scope=\"write\"";
    let post = format!(
        "POST /v1/users HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {bearer}\r\nContent-Length: 5\r\n\r\nhello"
    );
    let reply = front.bytes(post.as_bytes()).await;
    refused(&reply, 403, "insufficient_scope", "This needs the scope write.", lacks);
    assert_eq!(reply.header("x-ratelimit-limit"), "1000");
    let reply = front.get("/elsewhere").await;
    refused(&reply, 403, "forbidden", "No rule of this API allows the request.", "");
    assert!(front.upstream.take().is_empty());
    // From outside the key's networks, whatever the headers say.
    let elsewhere = ["key", "create", "--user", EMAIL, "--scope", "read", "--allow", "203.0.113.0/24"];
    let elsewhere = front.here.json(&elsewhere);
    let elsewhere = format!("Bearer {}", elsewhere["key"].as_str().expect("a key"));
    let forwarded =
        [("X-Forwarded-For", "203.0.113.9"), ("X-Real-IP", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")];
    let reply = front.raw("GET /v1/users", &[&forwarded[..], &[("Authorization", &elsewhere)]].concat()).await;
    refused(&reply, 401, "invalid_api_key", "The API key provided is invalid.", invalid);
    assert!(front.upstream.take().is_empty());
    // Revoked.
    front.get("/v1/users").await.status(200);
    front.here.json(&["key", "revoke", &front.key_id]);
    let reply = front.until(401, "/v1/users", &front.key).await;
    refused(&reply, 401, "invalid_api_key", "The API key provided is invalid.", invalid);
}

async fn a_path_or_method_that_tricks_the_proxy_tricks_nobody(front: Front) {
    // THREATS: FA1 FA2 FA5
    let bearer = format!("Bearer {}", front.key);
    for path in TRICKS {
        for headers in [&[][..], &[("Authorization", bearer.as_str())]] {
            let reply = front.raw(&format!("GET {path}"), headers).await;
            let seen = front.upstream.take();
            assert!(seen.is_empty(), "{path:?} got through: {seen:?}");
            assert!(!reply.status.is_success(), "{path:?}: {reply:?}");
        }
    }
    let public = [("X-Forwarded-Uri", "/public/a"), ("X-Forwarded-Method", "GET")];
    let original = [("X-Original-Uri", "/public/a"), ("X-Original-Method", "GET"), ("X-Original-URL", "/public/a")];
    let rewrite = [("X-Rewrite-Url", "/public/a"), ("X-HTTP-Method-Override", "GET"), ("X-Grantd-Proxy", "caddy")];
    for forged in [&public[..], &original, &rewrite, &[("User-Agent", "kube-probe/1.0")], &[("Upgrade", "websocket")]] {
        for method in ["GET", "POST", "OPTIONS", "HEAD", "TRACE", "CONNECT", "PUT", "BREW", "get"] {
            for target in ["/admin/a", "/admin/a?/public/a", "/v1/users"] {
                let reply = front.raw(&format!("{method} {target}"), forged).await;
                let seen = front.upstream.take();
                assert!(seen.is_empty(), "{method} {target} with {forged:?} got through: {seen:?}");
                assert!(!reply.status.is_success(), "{method} {target} with {forged:?}: {reply:?}");
            }
        }
    }
    // Some proxies encode non-ASCII. Then they ask grantd about that, too.
    front.raw("GET /public/\u{e9}", &[]).await;
    assert!(front.upstream.take().iter().all(|seen| seen.target == "/public/%C3%A9"));
    // Allowed requests arrive as they were sent.
    for path in ["/public/a%20b/%C3%A9", "/public/a?x=/../&y=%2e%2e//", "/public/a/", "/public/a%40b%3A%21@:!'()"] {
        for forged in [&public, &original[..]] {
            front.raw(&format!("GET {path}"), forged).await.status(200);
            assert_eq!(front.upstream.one().target, path);
        }
    }
    // Ambiguous paths are refused in the API's error format, not the proxy's.
    for path in ["//public/a", "/public//a", "/public/a%2fb", "/public/a%252fb", "/public/%2e%2e/admin/a"] {
        let reply = front.raw(&format!("GET {path}"), &[]).await;
        refused(&reply, 400, "invalid_request", "The path is ambiguous.", "");
    }
    front.raw("HEAD /public/a", &[]).await.status(200);
    assert_eq!(front.upstream.one().method, "HEAD");
}

async fn over_the_plan_is_429_with_the_time_to_wait(front: Front) {
    // THREATS: AK15
    let mut tries = 0;
    let [granted, limited] = loop {
        // A new user each time, since the hour may end in between.
        tries += 1;
        let email = format!("small{tries}@example.com");
        front.here.json(&["user", "create", "--email", &email, "--plan", "small"]);
        let (_, key) = front.here.key(&email);
        let first = front.until(200, "/v1/users", &key).await;
        front.upstream.take();
        let replies = [front.get_as("/v1/users", &key).await, front.get_as("/v1/users", &key).await];
        if replies.iter().all(|reply| reply.header("x-ratelimit-reset") == first.header("x-ratelimit-reset")) {
            break replies;
        }
        assert!(tries < 3, "{replies:?}");
    };
    assert_eq!(front.upstream.take().len(), 1);
    assert_eq!((granted.status(200).header("x-ratelimit-remaining"), granted.header("retry-after")), ("0", ""));
    let seconds: i64 = limited.header("retry-after").parse().expect("seconds");
    assert!((1..=3600).contains(&seconds), "{seconds}");
    let message = format!("Rate limit exceeded. Try again in {seconds} seconds.");
    refused(&limited, 429, "rate_limit_exceeded", &message, "");
    assert_eq!((limited.header("x-ratelimit-limit"), limited.header("x-ratelimit-remaining")), ("2", "0"));
    // Another user's quota is not affected.
    front.get("/v1/users").await.status(200);
}

async fn without_grantd_nobody_gets_in(front: Front) {
    front.get("/v1/users").await.status(200);
    front.upstream.take();
    front.grantd.signal("KILL");
    for path in ["/v1/users", "/public/a", "/admin/a"] {
        let reply = front.get(path).await;
        assert!([502, 503].contains(&reply.status.as_u16()), "{path}: {reply:?}");
        front.raw(&format!("GET {path}"), &[]).await;
    }
    assert!(front.upstream.take().is_empty());
}
