//! Owns tests of how often one user, and one key, may make changes, by management API and pages.

use serde_json::json;

use super::Caller;
use crate::harness::{Reply, TestApp};

const SCOPES: &str = "grantd:keys:read grantd:keys:write read";

async fn rename(caller: &Caller<'_>, name: &str) -> Reply {
    caller.patch(&format!("/keys/{}", caller.key_id), json!({ "name": name })).await
}

#[tokio::test]
async fn changes_are_limited_per_key_and_user_but_reads_are_not() {
    // THREATS: RL1
    let app = TestApp::with(&[("limits.writes_per_user", "5"), ("limits.writes_per_key", "3")]).await;
    let alice = Caller::new(&app, "alice", SCOPES).await;
    let bob = Caller::new(&app, "bob", SCOPES).await;
    for name in ["one", "two", "three"] {
        rename(&alice, name).await.status(200);
    }
    let limited = rename(&alice, "four").await;
    limited.problem(429, "too_many_requests");
    assert_eq!(limited.header("retry-after"), "61");
    assert_eq!(alice.get(&format!("/keys/{}", alice.key_id)).await.status(200).text("name"), "three");
    // What is left of the user's limit can be used by another key and on pages.
    let (key_id, key) = app.key(&alice.user, SCOPES).await;
    let second = Caller { app: &app, user: alice.user.clone(), key_id, key };
    rename(&second, "one").await.status(200);
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (page, revoke) = ("/settings/keys", format!("/settings/keys/{}/revoke", alice.key_id));
    browser.submit(page, &revoke, &[]).await.status(303);
    rename(&second, "two").await.problem(429, "too_many_requests");
    let revoke = format!("/settings/keys/{}/revoke", second.key_id);
    let limited = browser.submit(page, &revoke, &[]).await;
    assert_eq!(limited.page(429).header("retry-after"), "61");
    // Other users are not affected, and the limit ends after a minute.
    rename(&bob, "one").await.status(200);
    app.advance(60);
    browser.submit(page, &revoke, &[]).await.status(303);
}
