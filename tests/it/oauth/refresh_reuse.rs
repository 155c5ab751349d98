//! Owns tests of refresh tokens used twice: theft, races, lost responses, the grace window.

use std::sync::Arc;

use grantd::{
    engine::grant_token::GrantTokens,
    model::{audit::Origin, client::ClientType},
};

use super::{RACERS, assert_refused, race, signed_in};
use crate::harness::{
    OAuthClient, TestApp,
    flow::{self, exchange, refresh},
    mail,
};

/// Length of the default grace window, in seconds.
const GRACE: i64 = 10;

async fn with_grace(app: &TestApp, kind: ClientType, seconds: i64) -> OAuthClient {
    app.client(kind, |client| client.refresh_grace_ms = seconds * 1000).await
}

/// Refreshes and returns the successor.
async fn next(app: &TestApp, client: &OAuthClient, refresh_token: &str) -> String {
    refresh(app, client, refresh_token).await.status(200).text("refresh_token")
}

#[tokio::test]
async fn refresh_reuse_revokes_the_grant() {
    // THREATS: RT2
    let app = TestApp::new().await;
    let browser = signed_in(&app, "alice@example.com").await;
    for (kind, grace, wait) in
        [(ClientType::Public, 0, 0), (ClientType::Confidential, 0, 86_400), (ClientType::Public, GRACE, GRACE + 1)]
    {
        let client = with_grace(&app, kind, grace).await;
        let (_, first) = flow::tokens(&browser, &client).await;
        let second = next(&app, &client, &first).await;
        let reply = refresh(&app, &client, &second).await;
        let (access_token, third) = (reply.status(200).text("access_token"), reply.text("refresh_token"));
        app.introspect(&access_token).await.active();
        app.advance(wait);
        let before = app.audit().await.iter().filter(|event| *event == "refresh.reuse").count();
        assert_refused(&refresh(&app, &client, &second).await, "invalid_grant", &[&second, &third]);
        app.introspect(&access_token).await.inactive();
        assert_refused(&refresh(&app, &client, &third).await, "invalid_grant", &[&third]);
        let after = app.audit().await.iter().filter(|event| *event == "refresh.reuse").count();
        assert_eq!(after, before + 1);
    }
}

#[tokio::test]
async fn refresh_reuse_notifies_the_user_once() {
    // THREATS: RT2
    let (mail_url, mut mails) = mail::server().await;
    let app = TestApp::with(&[("mail.url", &mail_url), ("mail.from", "keys@example.com")]).await;
    let client = with_grace(&app, ClientType::Public, 0).await;
    let (_, first) = flow::tokens(&signed_in(&app, "alice@example.com").await, &client).await;
    let second = next(&app, &client, &first).await;
    for _ in 0..2 {
        refresh(&app, &client, &first).await.oauth_error("invalid_grant");
    }
    let told = mail::next(&mut mails).await;
    assert!(
        told.contains("alice@example.com") && told.contains("Test app") && told.contains("/settings/apps"),
        "{told}"
    );
    assert!(!told.contains(&first) && !told.contains(&second), "{told}");
    assert!(mails.try_recv().is_err(), "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_without_grace_succeed_once() {
    // THREATS: RT3
    let app = Arc::new(TestApp::new().await);
    let client = with_grace(&app, ClientType::Public, 0).await;
    let (_, first) = flow::tokens(&signed_in(&app, "alice@example.com").await, &client).await;
    let replies = race(|| {
        let (app, client, first) = (Arc::clone(&app), client.clone(), first.clone());
        async move { refresh(&app, &client, &first).await }
    })
    .await;
    let (won, lost): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status.as_u16() == 200);
    assert_eq!((won.len(), lost.len()), (1, RACERS - 1));
    for reply in &lost {
        assert_refused(reply, "invalid_grant", &[&first]);
    }
    // The losers were replays, so the whole grant is revoked.
    app.introspect(&won[0].text("access_token")).await.inactive();
    refresh(&app, &client, &won[0].text("refresh_token")).await.oauth_error("invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_with_grace_get_the_same_successor() {
    // THREATS: RT3 RT4
    let app = Arc::new(TestApp::new().await);
    let client = with_grace(&app, ClientType::Confidential, GRACE).await;
    let (_, first) = flow::tokens(&signed_in(&app, "alice@example.com").await, &client).await;
    let replies = race(|| {
        let (app, client, first) = (Arc::clone(&app), client.clone(), first.clone());
        async move { refresh(&app, &client, &first).await }
    })
    .await;
    let successor = replies[0].status(200).text("refresh_token");
    assert!(replies.iter().all(|reply| reply.status(200).text("refresh_token") == successor));
    // One head: the grant has advanced by one generation, however many requests there were.
    assert_eq!(app.database.column("SELECT generation FROM grants").await, ["2"]);
    refresh(&app, &client, &successor).await.status(200);
}

#[tokio::test]
async fn lost_response_can_be_repeated_by_the_last_predecessor() {
    // THREATS: RT4
    let app = TestApp::new().await;
    let (client, other) = (app.confidential().await, app.confidential().await);
    let browser = signed_in(&app, "alice@example.com").await;
    let (_, first) = flow::tokens(&browser, &client).await;
    let second = next(&app, &client, &first).await;
    for wait in [0, GRACE - 1, 1] {
        app.advance(wait);
        assert_eq!(next(&app, &client, &first).await, second, "{wait} s later");
        // Another client cannot use it, and does not revoke it.
        assert_refused(&refresh(&app, &other, &first).await, "invalid_grant", &[&first, &second]);
    }
    // Repeats did not extend the window.
    app.advance(1);
    assert_refused(&refresh(&app, &client, &first).await, "invalid_grant", &[&first, &second]);
    refresh(&app, &client, &second).await.oauth_error("invalid_grant");
    // A predecessor's predecessor is reuse, even within the window.
    let (_, first) = flow::tokens(&browser, &client).await;
    let second = next(&app, &client, &first).await;
    let third = next(&app, &client, &second).await;
    assert_eq!(next(&app, &client, &second).await, third);
    assert_refused(&refresh(&app, &client, &first).await, "invalid_grant", &[&first]);
    refresh(&app, &client, &third).await.oauth_error("invalid_grant");
    // A code has no such window.
    let code = flow::code(&browser, &client).await;
    exchange(&app, &client, &code).await.status(200);
    exchange(&app, &client, &code).await.oauth_error("invalid_grant");
    // Nor has a token that was not issued yet: the next generation, correctly signed.
    let (_, first) = flow::tokens(&browser, &client).await;
    let grant = app.app.grant_tokens.read_refresh_token(&first).expect("ours");
    let tokens = GrantTokens::new(&app.master).expect("keys");
    let ahead = tokens.refresh_token(&grant.0, grant.1 + 1).expect("a token");
    assert_refused(&refresh(&app, &client, ahead.expose()).await, "invalid_grant", &[ahead.expose()]);
}

#[tokio::test]
async fn grace_window_is_bounded() {
    // THREATS: RT4
    let app = TestApp::with(&[("lifetimes.grant_seconds", "100")]).await;
    let client = app.confidential().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let (_, first) = flow::tokens(&browser, &client).await;
    app.advance(95);
    let second = next(&app, &client, &first).await;
    app.advance(4);
    let again = refresh(&app, &client, &first).await;
    assert_eq!((again.status(200).text("refresh_token"), again.json()["expires_in"].as_i64()), (second, Some(1)));
    app.advance(1);
    assert_refused(&refresh(&app, &client, &first).await, "invalid_grant", &[&first]);
    // A client that repeats endlessly has not just lost a response.
    let (access_token, first) = flow::tokens(&browser, &client).await;
    let second = next(&app, &client, &first).await;
    for _ in 0..256 {
        assert_eq!(next(&app, &client, &first).await, second);
    }
    assert_refused(&refresh(&app, &client, &first).await, "invalid_grant", &[&first]);
    app.introspect(&access_token).await.inactive();
}

#[tokio::test]
async fn revoked_grant_stays_revoked_within_the_grace_window() {
    // THREATS: RT5 RT9
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let browser = signed_in(&app, "alice@example.com").await;
    // Revoked by the current token, and by the previous one, which its client may still hold.
    for revoke_by_live in [true, false] {
        let (_, first) = flow::tokens(&browser, &client).await;
        let second = next(&app, &client, &first).await;
        let presented = if revoke_by_live { &second } else { &first };
        app.post_as(&client, "/oauth/revoke", &[("token", presented)]).await.status(200);
        for refresh_token in [&first, &second] {
            assert_refused(&refresh(&app, &client, refresh_token).await, "invalid_grant", &[&first, &second]);
        }
    }
    let (_, first) = flow::tokens(&browser, &client).await;
    let second = next(&app, &client, &first).await;
    let (alice, _) = app.app.store.find_user_by_email("alice@example.com").await.expect("looked").expect("Alice");
    let store = &app.app.store;
    assert!(store.set_user_active(app.now(), Origin::default(), alice.id, false).await.expect("disabled"));
    for refresh_token in [&first, &second] {
        assert_refused(&refresh(&app, &client, refresh_token).await, "invalid_grant", &[&first, &second]);
    }
}

#[tokio::test]
async fn refresh_reuse_is_detected_after_a_restart() {
    // THREATS: RT11
    let app = TestApp::new().await;
    let client = with_grace(&app, ClientType::Confidential, 0).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let (_, first) = flow::tokens(&browser, &client).await;
    let reply = refresh(&app, &client, &first).await;
    let (access_token, second) = (reply.status(200).text("access_token"), reply.text("refresh_token"));
    // All memory is new: caches, counters, the clock's start.
    let restarted = app.beside().await;
    restarted.introspect(&access_token).await.active();
    assert_refused(&refresh(&restarted, &client, &first).await, "invalid_grant", &[&first]);
    restarted.introspect(&access_token).await.inactive();
    assert_refused(&refresh(&restarted, &client, &second).await, "invalid_grant", &[&second]);
    assert_refused(&refresh(&app, &client, &second).await, "invalid_grant", &[&second]);
}
