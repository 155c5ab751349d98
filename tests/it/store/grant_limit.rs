//! Owns revoking many grants: those beyond the limit of a user and client, and all of one user or client.

use super::{Base, NOW, new_client, who};
use crate::harness::prepare::{grant, keep};

on_each_engine!(
    the_oldest_grants_beyond_the_limit_are_revoked,
    of_grants_created_at_the_same_time_as_many_are_left_as_the_limit_says,
    many_grants_beyond_the_limit_are_revoked_in_batches,
    many_grants_are_revoked_in_batches_before_a_new_password_revokes_the_rest,
    many_grants_of_an_app_are_revoked_in_batches_before_its_consent_is_withdrawn,
    a_client_with_many_grants_and_consents_is_disabled_and_emptied_before_it_is_deleted,
);

impl Base {
    /// A grant from so many seconds after the start, with a code that is good for ten minutes.
    async fn granted(&self, seconds: i64, client: &str) -> String {
        let now = NOW.plus_seconds(seconds);
        let grant = grant(now, &self.user, client);
        let id = grant.id.text();
        keep(&self.store, now, grant).await;
        id
    }

    async fn redeemed(&self, seconds: i64, client: &str) -> String {
        let (id, now) = (self.granted(seconds, client).await, NOW.plus_seconds(seconds));
        let idle_expires_at = NOW.plus_seconds(3600);
        let outcome = self.store.redeem_code(now, who(), id.clone(), client.to_owned(), idle_expires_at, |_| Ok(()));
        outcome.await.expect("an outcome");
        id
    }

    async fn another_client(&self) -> String {
        let client = new_client();
        let id = client.id.clone();
        self.store.insert_client(NOW, who(), client).await.expect("a client");
        id
    }

    /// Revokes one batch beyond three grants, twenty minutes after the start.
    async fn trim(&self, client: &str) -> bool {
        let now = NOW.plus_seconds(1200);
        self.store.revoke_oldest_grants(now, self.user.clone(), client.to_owned(), 3).await.expect("an answer")
    }

    /// So many redeemed grants of the user and this client, one created after the other.
    pub(super) async fn granted_often(&self, client: &str, count: usize) {
        let Self { user, database, .. } = self;
        let now = NOW.0;
        database
            .run(&format!(
                "INSERT INTO grants (id, user_id, client_id, scopes, resources, redirect_uri, auth_time, created_at,
                                     code_expires_at, generation, replays, idle_expires_at, expires_at)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                 SELECT 'grant_' || i, '{user}', '{client}', 'read', '', '', {now}, {now} + i,
                        {now}, 1, 0, {now} + 86400000, {now} + 86400000 FROM n"
            ))
            .await;
    }

    /// Consents of so many other users to this client.
    async fn allowed_often(&self, client: &str, count: usize) {
        let users = format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
        self.database
            .run(&format!(
                "INSERT INTO users (id, email, name, plan, admin, created_at)
                 {users} SELECT 'user_' || i, 'user' || i || '@example.com', '', 'free', FALSE, 1 FROM n;
                 INSERT INTO consents (user_id, client_id, scopes, resources, created_at, client_name, hosts)
                 {users} SELECT 'user_' || i, '{client}', 'read', '', 1, '', '' FROM n"
            ))
            .await;
    }

    pub(super) async fn count(&self, rows: &str) -> usize {
        let found = self.database.column(&format!("SELECT COUNT(*) FROM {rows}")).await;
        found[0].parse().expect("a number")
    }

    pub(super) async fn live(&self) -> usize {
        self.count("grants WHERE revoked_at IS NULL").await
    }

    /// How many grants each audit entry with this name counts, in descending order.
    pub(super) async fn batches(&self, event: &str) -> Vec<i64> {
        let entries = crate::harness::database::entries(&self.store, 50).await;
        let mut times: Vec<i64> =
            entries.into_iter().filter(|entry| entry.event == event).map(|entry| entry.times).collect();
        times.sort_unstable_by(|one, other| other.cmp(one));
        times
    }
}

async fn the_oldest_grants_beyond_the_limit_are_revoked(base: Base) {
    // THREATS: RL1
    let (client, other) = (base.client.clone(), base.another_client().await);
    let code = base.granted(0, &client).await;
    let mut ids = Vec::new();
    for at in 1..=5 {
        ids.push(base.redeemed(at, &client).await);
    }
    // A code that was not redeemed in time takes no place of a grant in use.
    let newest = base.granted(6, &client).await;
    let others = base.redeemed(0, &other).await;
    assert!(!base.trim(&client).await, "no more are left");
    let revoked = async |id: &str| base.store.grant_token_state(id, "jti").await.expect("a look").expect("one").revoked;
    assert_eq!((revoked(&code).await, revoked(&newest).await, revoked(&others).await), (true, false, false));
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(revoked(id).await, at < 2, "{at}");
    }
    assert_eq!(base.batches("grant.excess").await, [3]);
    assert!(!base.trim(&client).await);
    assert_eq!(base.batches("grant.excess").await, [3], "nothing was done");
}

async fn of_grants_created_at_the_same_time_as_many_are_left_as_the_limit_says(base: Base) {
    for _ in 0..5 {
        base.redeemed(1, &base.client).await;
    }
    assert!(!base.trim(&base.client).await);
    assert_eq!(base.live().await, 3);
}

async fn many_grants_beyond_the_limit_are_revoked_in_batches(base: Base) {
    base.granted_often(&base.client, 1203).await;
    let mut looks = 1;
    while base.trim(&base.client).await {
        looks += 1;
    }
    assert_eq!((looks, base.live().await), (3, 3));
    assert_eq!(base.batches("grant.excess").await, [500, 500, 200]);
    assert_eq!(base.count("grants WHERE revoked_at IS NULL AND id IN ('grant_1201', 'grant_1203')").await, 2);
}

async fn many_grants_are_revoked_in_batches_before_a_new_password_revokes_the_rest(base: Base) {
    // THREATS: RL1
    base.granted_often(&base.client, 2100).await;
    let set = base.store.set_password(NOW, who(), base.user.clone(), "$argon2id$new".to_owned());
    assert!(set.await.expect("an answer"));
    assert_eq!(base.live().await, 0);
    assert_eq!(base.batches("grant.revoke").await, [500, 500, 100]);
    assert_eq!(base.batches("user.password").await, [1]);
}

async fn many_grants_of_an_app_are_revoked_in_batches_before_its_consent_is_withdrawn(base: Base) {
    base.granted_often(&base.client, 1100).await;
    base.redeemed(0, &base.another_client().await).await;
    let withdrawn = base.store.withdraw_consent(NOW, who(), base.user.clone(), base.client.clone());
    assert!(withdrawn.await.expect("an answer"));
    assert_eq!(base.live().await, 1, "another app's");
    assert_eq!(base.batches("grant.revoke").await, [100]);
}

async fn a_client_with_many_grants_and_consents_is_disabled_and_emptied_before_it_is_deleted(base: Base) {
    base.granted_often(&base.client, 1600).await;
    base.allowed_often(&base.client, 1100).await;
    let kept = base.redeemed(0, &base.another_client().await).await;
    let delete =
        |owner: Option<&str>| base.store.delete_client(NOW, who(), base.client.clone(), owner.map(ToOwned::to_owned));
    assert!(!delete(Some("user_other")).await.expect("an answer"), "another user's");
    assert_eq!(base.count("grants").await, 1601);
    // Something else that the client is needed for stops the last step.
    base.database.run(&format!("UPDATE apis SET client_id = '{}'", base.client)).await;
    delete(None).await.expect_err("still needed");
    assert_eq!(base.count("grants").await, 1001, "all but a thousand of the client, and another's");
    let disabled = base.store.find_client(&base.client).await.expect("a look").expect("a client");
    assert!(!disabled.active);
    assert_eq!(base.count("consents").await, 1000);
    base.database.run("UPDATE apis SET client_id = (SELECT id FROM clients WHERE api_id IS NOT NULL)").await;
    assert!(delete(None).await.expect("an answer"));
    assert_eq!(base.database.column("SELECT id FROM grants").await, [kept]);
}
