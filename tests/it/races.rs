//! Owns races on one node: of many concurrent requests exactly one succeeds, and there are no server errors.

use std::sync::Arc;

use grantd::{
    engine::new_key::{self, NewKey},
    model::{audit::Origin, client::ClientType, scope::Scopes},
};
use tokio::task::JoinSet;

use crate::harness::{OAuthClient, Reply, TestApp, flow, prepare};

/// Concurrent tasks.
const TASKS: usize = 16;
const ROUNDS: usize = 50;

/// An installation whose one client may send requests without limits.
async fn app() -> TestApp {
    TestApp::with(&[("limits.token_requests_per_client", "1000000")]).await
}

async fn client(app: &TestApp, grace_ms: i64) -> OAuthClient {
    app.client(ClientType::Confidential, |client| client.refresh_grace_ms = grace_ms).await
}

async fn code(app: &TestApp, user: &str, client: &OAuthClient) -> String {
    prepare::code(&app.app.store, &app.app.grant_tokens, app.now(), user, &client.id).await
}

/// The replies of [`TASKS`] tasks that do the same at once.
async fn all_at_once<F: Future<Output = Reply> + Send + 'static>(act: impl Fn() -> F) -> Vec<Reply> {
    let start = Arc::new(tokio::sync::Barrier::new(TASKS));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (start, acting) = (Arc::clone(&start), act());
        tasks.spawn(async move {
            start.wait().await;
            acting.await
        });
    }
    tasks.join_all().await
}

/// The one reply that is 200; every other is `invalid_grant`.
#[track_caller]
fn winner(replies: &[Reply]) -> &Reply {
    let (won, lost): (Vec<&Reply>, Vec<&Reply>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!(won.len(), 1, "{won:?}");
    for reply in lost {
        reply.oauth_error("invalid_grant");
    }
    won[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_redemptions_succeed_once_and_revoke_the_grant() {
    // THREATS: MN1
    let app = Arc::new(app().await);
    let user = app.user("alice@example.com").await;
    let client = client(&app, 10_000).await;
    for _ in 0..ROUNDS {
        let code = code(&app, &user, &client).await;
        let replies = all_at_once(|| {
            let (app, client, code) = (Arc::clone(&app), client.clone(), code.clone());
            async move { flow::exchange(&app, &client, &code).await }
        })
        .await;
        let won = winner(&replies);
        app.introspect(&won.text("access_token")).await.inactive();
        flow::refresh(&app, &client, &won.text("refresh_token")).await.oauth_error("invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_without_grace_succeed_once_and_revoke_the_grant() {
    // THREATS: MN2
    let app = Arc::new(app().await);
    let user = app.user("alice@example.com").await;
    let client = client(&app, 0).await;
    for _ in 0..ROUNDS {
        let code = code(&app, &user, &client).await;
        let token = flow::exchange(&app, &client, &code).await.text("refresh_token");
        let replies = all_at_once(|| {
            let (app, client, token) = (Arc::clone(&app), client.clone(), token.clone());
            async move { flow::refresh(&app, &client, &token).await }
        })
        .await;
        let won = winner(&replies);
        app.introspect(&won.text("access_token")).await.inactive();
        flow::refresh(&app, &client, &won.text("refresh_token")).await.oauth_error("invalid_grant");
    }
    assert!(app.audit().await.contains(&"refresh.reuse".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_with_grace_get_the_same_successor() {
    let app = Arc::new(app().await);
    let user = app.user("alice@example.com").await;
    let client = client(&app, 10_000).await;
    let code = code(&app, &user, &client).await;
    let mut token = flow::exchange(&app, &client, &code).await.text("refresh_token");
    for _ in 0..ROUNDS {
        let replies = all_at_once(|| {
            let (app, client, token) = (Arc::clone(&app), client.clone(), token.clone());
            async move { flow::refresh(&app, &client, &token).await }
        })
        .await;
        for reply in &replies {
            reply.status(200);
        }
        let mut successors: Vec<String> = replies.iter().map(|reply| reply.text("refresh_token")).collect();
        successors.dedup();
        assert_eq!(successors.len(), 1, "one head");
        token = successors.remove(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_of_two_processes_see_no_error() {
    // THREATS: ST5
    const WRITERS: usize = 64;
    let app = Arc::new(app().await);
    let user = app.user("alice@example.com").await;
    let client = client(&app, 0).await;
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let (app, client, user) = (Arc::clone(&app), client.clone(), user.clone());
        tasks.spawn(async move {
            let code = code(&app, &user, &client).await;
            let reply = flow::exchange(&app, &client, &code).await;
            reply.status(200);
            let mut token = reply.text("refresh_token");
            for _ in 0..10 {
                let reply = flow::refresh(&app, &client, &token).await;
                reply.status(200);
                token = reply.text("refresh_token");
            }
        });
    }
    // As the command line does it: its own connection to the same database.
    let config = app.app.config.clone();
    let (other, now) = (crate::harness::database::open(&app.database.url).await.expect("a store"), app.now());
    tasks.spawn(async move {
        for _ in 0..100 {
            let new = NewKey::of(&user, "Test key", Scopes::parse("read").expect("scopes"));
            let (secret, key) = new_key::create(now, &config, new).expect("a key");
            other.insert_key(now, Origin::default(), secret.digest(), key).await.expect("kept");
        }
    });
    tasks.join_all().await;
}
