//! Owns how fast a change reaches every node, whatever is remembered: IN8, AK10.

use std::{sync::Arc, time::Duration};

use grantd::{
    cache::{Entity, EntityKind},
    model::audit::Origin,
    store::Store,
};

use super::assert_inactive_soon;
use crate::harness::{TestApp, database::Database, flow};

#[tokio::test]
async fn what_one_node_ends_the_others_refuse_within_a_second() {
    // THREATS: IN8 AK10
    let app = TestApp::new().await;
    let second = app.beside().await;
    let user = app.user("alice@example.com").await;
    let bob = app.user("bob@example.com").await;
    let (client, other, third) = (app.confidential().await, app.confidential().await, app.confidential().await);
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let (key_id, key) = app.key(&user, "read").await;
    let (_, bobs) = app.key(&bob, "read").await;
    let (others, thirds) = (app.client_token(&other).await, app.client_token(&third).await);
    for credential in [&access, &key, &bobs, &others, &thirds] {
        second.introspect(credential).await.active();
        second.introspect(credential).await.active();
    }
    let (store, now) = (&app.app.store, app.now());
    store.revoke_key(now, Origin::default(), key_id, None).await.expect("revoked");
    store.set_user_active(now, Origin::default(), bob, false).await.expect("disabled");
    store.set_client_active(now, Origin::default(), other.id.clone(), false).await.expect("disabled");
    app.post_as(&client, "/oauth/revoke", &[("token", &refresh)]).await.status(200);
    app.post_as(&third, "/oauth/revoke", &[("token", &thirds)]).await.status(200);
    for credential in [&key, &bobs, &others, &access, &thirds] {
        assert_inactive_soon(&second, credential).await;
        app.introspect(credential).await.inactive();
    }
}

#[tokio::test]
async fn a_revoke_by_the_command_line_reaches_the_server() {
    // THREATS: AK10
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    app.introspect(&key).await.active();
    // As `grantd key revoke` does it: another process with a store of its own, whose cache this server does not see.
    let beside = Store::open(&app.database.url).await.expect("a store");
    assert!(beside.revoke_key(app.now(), Origin::default(), id, None).await.expect("revoked"));
    assert_inactive_soon(&app, &key).await;
}

#[tokio::test]
async fn a_node_that_cannot_read_the_feed_stops_trusting_its_memory() {
    // THREATS: AK10
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    app.introspect(&key).await.active();
    // The link by which a revoke would be heard of is cut, and then the key is revoked.
    app.database.run("ALTER TABLE feed RENAME TO feed_cut").await;
    app.database.run(&format!("UPDATE api_keys SET revoked_at = 1 WHERE id = '{id}'")).await;
    assert_inactive_soon(&app, &key).await;
}

/// Makes every look at a key slow, after the moment whose rows it sees.
async fn slow_down(database: &Database) {
    let slow = if database.is_postgres() {
        "SELECT r.* FROM kept r, (SELECT pg_sleep(0.5)) AS slow"
    } else {
        "SELECT r.* FROM kept r WHERE (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000000)
         SELECT COUNT(*) FROM n) > 0"
    };
    database.run(&format!("ALTER TABLE api_keys RENAME TO kept; CREATE VIEW api_keys AS {slow}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_read_that_races_a_revoke_does_not_bring_the_key_back() {
    // THREATS: AK10
    let app = Arc::new(TestApp::new().await);
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    slow_down(&app.database).await;
    let changed = || [Entity::new(EntityKind::Key, id.as_str())];
    for _ in 0..10 {
        let reading = tokio::spawn({
            let (app, key) = (Arc::clone(&app), key.clone());
            async move { app.introspect(&key).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Revoked elsewhere, and this node hears of it, while the rows from before are still on their way.
        app.database.run(&format!("UPDATE kept SET revoked_at = 1 WHERE id = '{id}'")).await;
        app.app.store.freshness().apply(changed());
        if reading.await.expect("an answer").json()["active"] == true {
            app.introspect(&key).await.inactive();
            return;
        }
        // The read began too late to race; once more.
        app.database.run("UPDATE kept SET revoked_at = NULL").await;
        app.app.store.freshness().apply(changed());
    }
    panic!("no read raced the revoke");
}
