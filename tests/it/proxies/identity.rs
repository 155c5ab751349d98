//! Owns tests of the identity that the API receives, and that nobody but grantd can set it.

use super::{Front, at_each_proxy};
use crate::harness::Reply;

at_each_proxy!(
    the_right_ones_get_in_and_the_api_learns_who_they_are,
    what_a_caller_says_of_itself_never_reaches_the_api,
    every_identity_header_is_named_in_the_example,
);

/// Asserts that the response shows what is left of a plan of a thousand per hour, each value once.
#[track_caller]
fn assert_limits(reply: &Reply) {
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy"] {
        let values: Vec<_> = reply.headers.get_all(name).iter().collect();
        assert!(values.len() == 1 && !values[0].is_empty(), "{name}: {reply:?}");
    }
    assert_eq!(reply.header("x-ratelimit-limit"), "1000");
}

async fn the_right_ones_get_in_and_the_api_learns_who_they_are(front: Front) {
    let bearer = format!("Bearer {}", front.key);
    let headers =
        [("Authorization", bearer.as_str()), ("X-Request-ID", "my-own-id-7"), ("X-Idempotency-Key", "unique-key")];
    let reply = front.raw("GET /v1/users?x=%2F&y=a%20b", &headers).await;
    assert!(reply.status(200).body.contains("Ada Lovelace"));
    assert_limits(&reply);
    assert_eq!(reply.headers.get_all("x-request-id").iter().collect::<Vec<_>>(), ["my-own-id-7"]);
    let seen = front.upstream.one();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/v1/users?x=%2F&y=a%20b"));
    for (name, value) in [
        ("x-auth-subject", front.user.as_str()),
        ("x-auth-key-id", &front.key_id),
        ("x-auth-user", "alice"),
        ("x-auth-client", ""),
        ("x-auth-project", ""),
        ("x-auth-environment", "live"),
        ("x-auth-plan", "free"),
        ("x-auth-scopes", "read"),
        ("x-auth-credential", "api_key"),
        ("x-request-id", "my-own-id-7"),
        ("x-idempotency-key", "unique-key"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "api.example.com"),
    ] {
        assert_eq!(seen.header(name), value, "{name}: {seen:?}");
    }
    // A body goes to the API and not to grantd; a request id is created if there is none.
    let post = format!(
        "POST /echo/it HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {bearer}\r\nContent-Length: 5\r\n\r\nhello"
    );
    let reply = front.bytes(post.as_bytes()).await;
    let seen = front.upstream.one();
    assert_eq!((seen.method.as_str(), seen.body.as_str()), ("POST", "hello"));
    assert!(reply.status(200).header("x-request-id").starts_with("req_"), "{reply:?}");
    assert_eq!(seen.header("x-request-id"), reply.header("x-request-id"));
    // A token of an app acting for itself.
    let client = front.here.client(&[
        "--redirect-uri",
        "https://app.example.com/callback",
        "--scope",
        "read",
        "--grant-type",
        "client_credentials",
    ]);
    front.get_as("/v1/users", &front.grantd.client_token(&client).await).await.status(200);
    let seen = front.upstream.one();
    assert_eq!((seen.header("x-auth-client"), seen.header("x-auth-key-id")), (client.id.as_str(), ""));
    assert_eq!(seen.header("x-auth-credential"), "access_token");
}

async fn what_a_caller_says_of_itself_never_reaches_the_api(front: Front) {
    // THREATS: FA3
    let bearer = format!("Bearer {}", front.key);
    let names = ["subject", "user", "client", "key-id", "project", "environment", "plan", "scopes", "credential"];
    let mut forged: Vec<(String, String)> = Vec::new();
    for name in names {
        for style in ["X-Auth-", "x_auth_", "X-Auth_", "X_AUTH-", "x-auth-"] {
            forged.push((format!("{style}{name}"), "forged".to_owned()));
            forged.push((format!("{style}{}", name.replace('-', "_")), "forged".to_owned()));
        }
    }
    forged.push(("X-Forwarded-For".to_owned(), "203.0.113.9".to_owned()));
    forged.push(("X-Forwarded-Host".to_owned(), "forged".to_owned()));
    let forged: Vec<(&str, &str)> = forged.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let known = [&forged[..], &[("Authorization", &bearer)]].concat();
    front.raw("GET /echo/a", &known).await.status(200);
    let seen = front.upstream.one();
    assert!(!seen.headers.iter().any(|(_, value)| value == "forged" || value.contains("203.0.113.9")), "{seen:?}");
    assert_eq!((seen.header("x-auth-subject"), seen.header("x-auth-client")), (front.user.as_str(), ""));
    // Anonymous, on a public path.
    front.raw("GET /public/a", &forged).await.status(200);
    let seen = front.upstream.one();
    for name in names {
        assert_eq!(seen.header(&format!("x-auth-{name}")), "", "{seen:?}");
    }
    // Headers named in Connection are hop-by-hop: naming grantd's must not remove them.
    for connection in
        ["close, X-Auth-Subject, X-Auth-Plan", "X-Auth-Subject, close", "close, x-request-id, x-auth-plan"]
    {
        let reply = front.raw("GET /echo/a", &[("Authorization", &bearer), ("Connection", connection)]).await;
        reply.status(200);
        let seen = front.upstream.one();
        assert_eq!((seen.header("x-auth-subject"), seen.header("x-auth-plan")), (front.user.as_str(), "free"));
    }
}

async fn every_identity_header_is_named_in_the_example(front: Front) {
    // Asked without a proxy, grantd sets every header it knows.
    let reply = front.grantd.get("/gateway/verify/example").await;
    let known: Vec<String> =
        reply.headers.keys().map(ToString::to_string).filter(|name| name.starts_with("x-auth-")).collect();
    assert!(known.len() >= 9, "{known:?}");
    let example = front.kind.text().to_lowercase();
    for name in known {
        assert!(example.contains(&name), "{name}");
    }
}
