//! Owns tests of how fast a change reaches every node, whatever is cached: IN8, AK10.

use std::{sync::Arc, time::Duration};

use grantd::{
    cache::{Entity, EntityKind},
    model::audit::Origin,
};

use super::a_second_later;
use crate::harness::{TestApp, flow, wait};

#[tokio::test]
async fn revocations_reach_every_node_within_a_second() {
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
        app.introspect(credential).await.inactive();
    }
    a_second_later().await;
    for credential in [&key, &bobs, &others, &access, &thirds] {
        second.introspect(credential).await.inactive();
    }
}

#[tokio::test]
async fn revocation_by_command_line_reaches_the_server() {
    // THREATS: AK10
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    app.introspect(&key).await.active();
    // As `grantd key revoke` does it: another process with its own store, whose cache this server does not share.
    let beside = crate::harness::database::open(&app.database.url).await.expect("a store");
    assert!(beside.revoke_key(app.now(), Origin::default(), id, None).await.expect("revoked"));
    a_second_later().await;
    app.introspect(&key).await.inactive();
}

#[tokio::test]
async fn node_without_the_feed_stops_using_its_cache() {
    // THREATS: AK10
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    app.introspect(&key).await.active();
    // The node's connection for the feed is cut, and then the key is revoked.
    app.database.run("ALTER TABLE feed RENAME TO feed_cut").await;
    app.database.run(&format!("UPDATE api_keys SET revoked_at = 1 WHERE id = '{id}'")).await;
    a_second_later().await;
    app.introspect(&key).await.inactive();
}

/// Delays every read of a key after its snapshot was taken: on PostgreSQL until [`LOCK`] is released, on
/// SQLite by a count of so many steps.
async fn slow_down(app: &TestApp, steps: u64) {
    let slow = if app.database.is_postgres() {
        format!("SELECT r.* FROM kept r, (SELECT pg_advisory_xact_lock({LOCK})) AS held")
    } else {
        format!(
            "SELECT r.* FROM kept r WHERE (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {steps})
             SELECT COUNT(*) FROM n) > 0"
        )
    };
    app.database.run(&format!("DROP VIEW IF EXISTS api_keys; CREATE VIEW api_keys AS {slow}")).await;
}

/// On PostgreSQL: a read waits for [`LOCK`].
const LOCK: u32 = 4711;

/// Starts to read a key, revokes it elsewhere, and returns whether the read had started before and so found it valid.
async fn race(app: &Arc<TestApp>, id: &str, key: &str, pause: Duration) -> bool {
    let changed = || [Entity::new(EntityKind::Key, id)];
    let lock = Lock::of(app).await;
    let reading = tokio::spawn({
        let (app, key) = (Arc::clone(app), key.to_owned());
        async move { app.introspect(&key).await }
    });
    match &lock {
        Some(lock) => lock.is_waited_for().await,
        None => wait::at_least(pause).await,
    }
    // Revoked elsewhere, and the node sees it while the old rows are still being read.
    app.database.run(&format!("UPDATE kept SET revoked_at = 1 WHERE id = '{id}'")).await;
    app.app.store.freshness().apply(changed());
    if let Some(lock) = lock {
        lock.free().await;
    }
    let raced = reading.await.expect("an answer").json()["active"] == true;
    if !raced {
        app.database.run("UPDATE kept SET revoked_at = NULL").await;
        app.app.store.freshness().apply(changed());
    }
    raced
}

/// [`LOCK`], held by the test's own connection.
struct Lock(sqlx::PgPool, sqlx::pool::PoolConnection<sqlx::Postgres>);

impl Lock {
    /// Nothing on SQLite.
    async fn of(app: &TestApp) -> Option<Self> {
        if !app.database.is_postgres() {
            return None;
        }
        let pool = sqlx::PgPool::connect(&app.database.url).await.expect("the database");
        let mut held = pool.acquire().await.expect("a connection");
        let take = sqlx::AssertSqlSafe(format!("SELECT pg_advisory_lock({LOCK})"));
        sqlx::raw_sql(take).execute(&mut *held).await.expect("a lock");
        Some(Self(pool, held))
    }

    async fn is_waited_for(&self) {
        wait::until("a read that waits", async || {
            let waiting = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            let count: i64 = sqlx::query_scalar(waiting).fetch_one(&self.0).await.expect("a count");
            (count > 0).then_some(())
        })
        .await;
    }

    async fn free(self) {
        drop(self.1.close().await);
        self.0.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn read_racing_a_revocation_does_not_revive_the_key() {
    // THREATS: AK10
    let app = Arc::new(TestApp::new().await);
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    app.database.run("ALTER TABLE api_keys RENAME TO kept").await;
    // SQLite cannot show that a read has started: if it had not, pause and read are doubled.
    for doubled in 0..10 {
        slow_down(&app, 2_000_000 << doubled).await;
        if race(&app, &id, &key, Duration::from_millis(100 << doubled)).await {
            slow_down(&app, 1).await;
            app.introspect(&key).await.inactive();
            return;
        }
    }
    panic!("no read raced the revoke");
}
