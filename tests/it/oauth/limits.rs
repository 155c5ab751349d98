//! Owns tests of how often one client may request tokens, and of its audit entries if it does so often.

use axum::http::{Request, header};

use super::{signed_in, token};
use crate::harness::{
    Reply, TestApp,
    app::encode,
    flow::{code, exchange, refresh, tokens},
};

const OWN: [(&str, &str); 1] = [("grant_type", "client_credentials")];

#[track_caller]
fn assert_limited(reply: &Reply) {
    assert_eq!(reply.status(429).text("error"), "too_many_requests");
    assert_eq!((reply.header("retry-after"), reply.header("cache-control")), ("61", "no-store"));
}

#[tokio::test]
async fn token_requests_are_limited_per_client() {
    // THREATS: RL1
    let app = TestApp::with(&[("limits.token_requests_per_client", "5")]).await;
    let (client, other) = (app.confidential().await, app.confidential().await);
    // Requests without client authentication do not use up the client's limit.
    for _ in 0..10 {
        let wrong = [OWN[0], ("client_id", client.id.as_str()), ("client_secret", "wrong")];
        app.post("/oauth/token", &wrong).await.oauth_error("invalid_client");
    }
    for _ in 0..5 {
        token(&app, &client, &OWN).await.status(200);
    }
    assert_limited(&token(&app, &client, &OWN).await);
    token(&app, &other, &OWN).await.status(200);
    app.advance(60);
    token(&app, &client, &OWN).await.status(200);
}

#[tokio::test]
async fn token_requests_of_public_clients_are_limited_per_sender() {
    // THREATS: RL1
    let app = TestApp::with(&[("limits.token_requests_per_client", "5")]).await;
    let client = app.public().await;
    let garbage = async |peer: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", "gd_rt_x"), ("client_id", client.id.as_str())];
        let request = Request::post("/oauth/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        app.send_from(peer, request.body(encode(&form)).expect("a request")).await
    };
    for _ in 0..5 {
        garbage("203.0.113.9").await.oauth_error("invalid_grant");
    }
    assert_limited(&garbage("203.0.113.9").await);
    // Anybody can use its client id, so others are not affected.
    let browser = signed_in(&app, "alice@example.com").await;
    exchange(&app, &client, &code(&browser, &client).await).await.status(200);
}

#[tokio::test]
async fn refreshes_of_a_grant_are_one_audit_entry_per_hour() {
    // THREATS: AU5
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let told = async |event: &str| {
        let entries = app.entries(1000).await;
        entries.iter().filter(|entry| entry.event == event).map(|entry| entry.times).collect::<Vec<_>>()
    };
    let (_, first) = tokens(&browser, &client).await;
    let (_, other) = tokens(&browser, &client).await;
    let mut current = first;
    for _ in 0..30 {
        current = refresh(&app, &client, &current).await.status(200).text("refresh_token");
    }
    assert_eq!(told("refresh").await, [1]);
    app.advance(3600);
    let last = current.clone();
    current = refresh(&app, &client, &current).await.status(200).text("refresh_token");
    assert_eq!(told("refresh").await, [30, 1], "those since the last entry, this one with them");
    // A repeated refresh is a separate event, also once an hour; another grant has its own entries.
    for _ in 0..5 {
        assert_eq!(refresh(&app, &client, &last).await.status(200).text("refresh_token"), current);
    }
    assert_eq!((told("refresh").await.len(), told("refresh.replay").await), (2, vec![1]));
    refresh(&app, &client, &other).await.status(200);
    assert_eq!(told("refresh").await.len(), 3);
    // Revocations are always recorded.
    app.advance(3600);
    refresh(&app, &client, &last).await.oauth_error("invalid_grant");
    assert_eq!(told("refresh.reuse").await, [1]);
}

#[tokio::test]
async fn client_credentials_tokens_are_at_most_two_audit_entries_per_hour() {
    // THREATS: AU5
    let app = TestApp::new().await;
    let client = app.confidential().await;
    for _ in 0..300 {
        token(&app, &client, &OWN).await.status(200);
    }
    app.app.background.flush().await.expect("flushed");
    let entries = app.entries(1000).await;
    let issued: Vec<i64> = entries.iter().filter(|entry| entry.event == "token.issue").map(|e| e.times).collect();
    // The background flush may have run in between.
    assert!((1..=2).contains(&issued.len()) && issued.iter().sum::<i64>() == 300, "{issued:?}");
}
