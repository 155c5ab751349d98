//! Owns tests behind a proxy that is not configured: senders are unknown, and nobody is locked out by all the others.

use axum::{
    body::Body,
    http::{Request, header},
};
use grantd::model::{network::Networks, secret::Secret};

use crate::harness::{Reply, TestApp, captured::Captured};

const PATHS: [&str; 2] = ["/gateway/verify/example-api", "/v1/users/me"];

async fn bearer(app: &TestApp, peer: &str, path: &str, key: &str, headers: &[(&str, &str)]) -> Reply {
    let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app.send_from(peer, request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn sender_behind_an_untrusted_proxy_is_unknown() {
    // THREATS: HX1 AK12
    let log = Captured::start();
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let networks = Networks::parse("127.0.0.0/8 198.51.100.0/24 203.0.113.66").expect("networks");
    let (_, bound) = app.key_with(&user, "read", |key| key.networks = networks).await;
    let (_, free) = app.key(&user, "read").await;
    for peer in ["127.0.0.1", "198.51.100.7"] {
        for path in PATHS {
            for header in [
                ("x-forwarded-for", "203.0.113.66"),
                ("x-forwarded-for", ""),
                ("forwarded", "for=203.0.113.66"),
                ("x-real-ip", "203.0.113.66"),
            ] {
                let refused = bearer(&app, peer, path, &bound, &[header]).await;
                let id = refused.status(401).header("x-request-id");
                let why = app.app.denials.of_request(&app.app.store, id, Some(&user)).await.expect("found");
                assert!(why[0].reason.contains("trusted_proxies"), "{why:?}");
                bearer(&app, peer, path, &free, &[header]).await.status(200);
            }
            bearer(&app, peer, path, &bound, &[]).await.status(200);
        }
        let lines: Vec<String> = log.text().lines().filter(|line| line.contains("WARN")).map(Into::into).collect();
        let told = lines.iter().filter(|line| line.contains(peer) && line.contains("not in trusted_proxies"));
        assert_eq!(told.count(), 1, "{lines:?}");
    }
}

#[tokio::test]
async fn guesses_behind_an_untrusted_proxy_lock_out_few() {
    // THREATS: HX1 RL2
    let app = TestApp::with(&[("limits.unknown_credentials_per_address", "3")]).await;
    let mut guesses = (0..).map(|n| Secret::with_checksum("gd_live_", &format!("{n:036}")).expose().to_owned());
    let mut guess = async |peer: &str, visitor: String| {
        let guess = guesses.next().expect("endless");
        bearer(&app, peer, PATHS[1], &guess, &[("x-forwarded-for", visitor.as_str())]).await.status.as_u16()
    };
    // What the visitor writes is left of what the proxy adds.
    for (attempt, status) in [401, 401, 401, 429, 429].into_iter().enumerate() {
        assert_eq!(guess("127.0.0.1", format!("192.0.2.{attempt}, 203.0.113.9")).await, status, "{attempt}");
    }
    let mut limited = 0;
    for visitor in 1..=40 {
        limited += usize::from(guess("127.0.0.1", format!("198.51.100.{visitor}")).await == 429);
    }
    assert!(limited <= 4, "{limited} of 40 others");
    // 64 times the limit of 3, and no more.
    let mut found = 0;
    for visitor in 0..2000 {
        found += usize::from(guess("10.0.0.1", format!("100.64.{}.{}", visitor / 250, visitor % 250)).await == 401);
    }
    assert!(found <= 64 * 3, "{found}");
    // From another peer, a header has no effect.
    for (attempt, status) in [401, 401, 401, 429].into_iter().enumerate() {
        assert_eq!(guess("203.0.113.1", format!("192.0.2.{attempt}")).await, status, "{attempt}");
    }
}
