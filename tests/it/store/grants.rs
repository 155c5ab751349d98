//! Owns tests of a grant's row (DESIGN idea 2): single use, rotation, replay, reuse, revocation.

use std::time::Duration;

use grantd::{
    model::{
        clock::Timestamp,
        error::Error as Refusal,
        grant::{NewGrant, Redeemed},
    },
    store::{Error, Redemption, Rotation},
};

use super::{Base, NOW, new_client, new_user, who};
use crate::harness::prepare::{grant, keep};

on_each_engine!(
    code_reuse_revokes_the_grant,
    code_is_redeemed_only_by_its_client_before_it_expires,
    failed_check_invalidates_the_code,
    concurrent_redemptions_succeed_once,
    refresh_rotates_and_the_predecessor_gets_the_same_successor,
    reuse_outside_the_grace_window_revokes_the_grant,
    repeats_within_the_grace_window_are_bounded,
    failed_check_leaves_the_refresh_token_usable,
    concurrent_refreshes_without_grace_succeed_once,
    idle_and_absolute_expiry_are_enforced,
    revoked_grant_stays_revoked,
    disabling_a_user_suspends_grants_without_revoking_them,
    new_password_revokes_grants,
    revoked_grant_is_deleted_after_a_day,
);

const GRACE_MS: i64 = 10_000;

/// After this many seconds.
fn later(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

#[track_caller]
fn redeemed(outcome: Result<Redemption, Error>) -> Redeemed {
    match outcome.expect("an outcome") {
        Redemption::Redeemed(redeemed, ()) => redeemed,
        Redemption::Refused(error) | Redemption::Reused(_, error) => panic!("refused: {error}"),
        Redemption::Unknown | Redemption::WrongClient => panic!("unknown or another client's"),
    }
}

#[track_caller]
fn refused(outcome: Result<Redemption, Error>, because: &str) {
    match outcome.expect("an outcome") {
        Redemption::Redeemed(redeemed, ()) => panic!("{redeemed:?}"),
        Redemption::Refused(error) | Redemption::Reused(_, error) => {
            assert!(error.description.contains(because), "{error}")
        }
        Redemption::Unknown | Redemption::WrongClient => panic!("unknown or another client's"),
    }
}

impl Base {
    async fn grant(&self) -> String {
        let grant = grant(NOW, &self.user, &self.client);
        let id = grant.id.text();
        keep(&self.store, NOW, grant).await;
        id
    }

    async fn redeem(&self, now: Timestamp, id: &str, client: &str) -> Result<Redemption, Error> {
        self.store.redeem_code(now, who(), id.to_owned(), client.to_owned(), later(3600), |_| Ok(())).await
    }

    async fn rotate(&self, now: Timestamp, id: &str, generation: u32, grace_ms: i64) -> Result<Redemption, Error> {
        let rotation = Rotation { generation, grace_ms, idle_expires_at: now.plus_seconds(3600) };
        self.store.rotate(now, who(), id.to_owned(), self.client.clone(), rotation, |_| Ok(())).await
    }

    async fn is_revoked(&self, id: &str) -> bool {
        self.store.grant_token_state(id, "jti").await.expect("a look").expect("a grant").revoked
    }
}

async fn code_reuse_revokes_the_grant(base: Base) {
    // THREATS: ST1
    let id = base.grant().await;
    let first = redeemed(base.redeem(later(1), &id, &base.client).await);
    assert_eq!((first.generation, first.user_id.as_str()), (1, base.user.as_str()));
    assert_eq!(first.scopes.to_string(), "read write");
    assert!(!base.is_revoked(&id).await);
    refused(base.redeem(later(2), &id, &base.client).await, "already used");
    assert!(base.is_revoked(&id).await);
    refused(base.rotate(later(3), &id, 1, GRACE_MS).await, "revoked");
    refused(base.redeem(later(4), &id, &base.client).await, "revoked");
    assert_eq!(base.audit(2).await, ["code.reuse", "code.redeem"]);
}

async fn code_is_redeemed_only_by_its_client_before_it_expires(base: Base) {
    let other = new_client();
    let other_id = other.id.clone();
    base.store.insert_client(NOW, who(), other).await.expect("a client");
    let id = base.grant().await;
    assert!(matches!(base.redeem(later(1), &id, &other_id).await, Ok(Redemption::WrongClient)));
    refused(base.redeem(later(601), &id, &base.client).await, "expired");
    assert!(matches!(base.redeem(later(1), "no-such-grant", &base.client).await, Ok(Redemption::Unknown)));
    redeemed(base.redeem(later(599), &id, &base.client).await);
    // Another client's second try revokes nothing either.
    assert!(matches!(base.redeem(later(600), &id, &other_id).await, Ok(Redemption::WrongClient)));
    assert!(!base.is_revoked(&id).await);
}

async fn failed_check_invalidates_the_code(base: Base) {
    let id = base.grant().await;
    let check = |seen: &Redeemed| {
        assert_eq!(seen.generation, 1);
        Err(Refusal::invalid_grant("not like this"))
    };
    let outcome = base.store.redeem_code(later(1), who(), id.clone(), base.client.clone(), later(3600), check).await;
    refused(outcome, "not like this");
    assert!(base.is_revoked(&id).await);
    refused(base.redeem(later(2), &id, &base.client).await, "revoked");
}

async fn concurrent_redemptions_succeed_once(base: Base) {
    // THREATS: MN1
    for _ in 0..20 {
        let id = base.grant().await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (store, id, client) = (base.store.clone(), id.clone(), base.client.clone());
            tasks.spawn(async move { store.redeem_code(later(1), who(), id, client, later(3600), |_| Ok(())).await });
        }
        let outcomes = tasks.join_all().await;
        let won = outcomes.into_iter().filter(|outcome| matches!(outcome, Ok(Redemption::Redeemed(..)))).count();
        assert_eq!(won, 1);
        assert!(base.is_revoked(&id).await, "the second use ended the grant");
    }
}

async fn refresh_rotates_and_the_predecessor_gets_the_same_successor(base: Base) {
    let id = base.grant().await;
    redeemed(base.redeem(NOW, &id, &base.client).await);
    assert_eq!(redeemed(base.rotate(later(10), &id, 1, GRACE_MS).await).generation, 2);
    assert_eq!(redeemed(base.rotate(later(20), &id, 1, GRACE_MS).await).generation, 2);
    assert_eq!(redeemed(base.rotate(later(30), &id, 2, GRACE_MS).await).generation, 3);
    let live = base.store.live_grant(later(31), &id, &base.client, 3).await.expect("a look");
    assert_eq!(live.expect("the head").generation, 3);
    assert!(base.store.live_grant(later(31), &id, &base.client, 2).await.expect("a look").is_none());
    // One entry of each kind per hour; earlier ones have the time of their grant, and no order among themselves.
    assert_eq!(base.audit(2).await, ["refresh.replay", "refresh"]);
    let all = base.audit(50).await;
    assert_eq!(all.iter().filter(|event| event.starts_with("refresh")).count(), 2, "{all:?}");
}

async fn reuse_outside_the_grace_window_revokes_the_grant(base: Base) {
    // Too late, too old, and immediately without a grace window.
    for (first, second, seconds, grace_ms) in [(1, 1, 11, GRACE_MS), (2, 1, 1, GRACE_MS), (1, 1, 0, 0)] {
        let id = base.grant().await;
        redeemed(base.redeem(NOW, &id, &base.client).await);
        for generation in 1..=first {
            redeemed(base.rotate(NOW, &id, generation, grace_ms).await);
        }
        refused(base.rotate(later(seconds), &id, second, grace_ms).await, "already used");
        assert!(base.is_revoked(&id).await);
        refused(base.rotate(later(seconds), &id, first + 1, grace_ms).await, "revoked");
        assert_eq!(base.audit(50).await.iter().filter(|event| *event == "refresh.reuse").count(), 1);
        base.seal().await;
        base.store.purge_expired(later(1000 * 86_400), Duration::from_secs(1)).await.expect("purged");
    }
}

async fn repeats_within_the_grace_window_are_bounded(base: Base) {
    let id = base.grant().await;
    redeemed(base.redeem(NOW, &id, &base.client).await);
    redeemed(base.rotate(later(1), &id, 1, GRACE_MS).await);
    for _ in 0..256 {
        assert_eq!(redeemed(base.rotate(later(1), &id, 1, GRACE_MS).await).generation, 2);
    }
    refused(base.rotate(later(1), &id, 1, GRACE_MS).await, "already used");
    assert!(base.is_revoked(&id).await);
}

async fn failed_check_leaves_the_refresh_token_usable(base: Base) {
    let id = base.grant().await;
    redeemed(base.redeem(NOW, &id, &base.client).await);
    let rotation = Rotation { generation: 1, grace_ms: 0, idle_expires_at: later(3600) };
    let check = |_: &Redeemed| Err::<(), _>(Refusal::invalid_scope("wider"));
    let outcome = base.store.rotate(later(1), who(), id.clone(), base.client.clone(), rotation, check).await;
    assert!(matches!(&outcome, Err(Error::Refused(error)) if error.description == "wider"), "{outcome:?}");
    assert_eq!(redeemed(base.rotate(later(2), &id, 1, 0).await).generation, 2);
}

async fn concurrent_refreshes_without_grace_succeed_once(base: Base) {
    // THREATS: MN2
    for _ in 0..20 {
        let id = base.grant().await;
        redeemed(base.redeem(NOW, &id, &base.client).await);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (store, id, client) = (base.store.clone(), id.clone(), base.client.clone());
            let rotation = Rotation { generation: 1, grace_ms: 0, idle_expires_at: later(3600) };
            tasks.spawn(async move { store.rotate(later(1), who(), id, client, rotation, |_| Ok(())).await });
        }
        let outcomes = tasks.join_all().await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let won = outcomes.into_iter().filter(|outcome| matches!(outcome, Ok(Redemption::Redeemed(..)))).count();
        assert_eq!(won, 1);
        assert!(base.is_revoked(&id).await, "reuse ended the grant");
    }
}

async fn idle_and_absolute_expiry_are_enforced(base: Base) {
    let id = base.grant().await;
    redeemed(base.redeem(NOW, &id, &base.client).await);
    refused(base.rotate(later(3600), &id, 1, GRACE_MS).await, "expired");
    assert!(!base.is_revoked(&id).await, "what expired was not misused");
    assert_eq!(redeemed(base.rotate(later(3599), &id, 1, GRACE_MS).await).generation, 2);
    // Each rotation extends the idle expiry, never the absolute one: a day from NOW.
    let mut generation = 2;
    for hours in 1..24 {
        let rotated = redeemed(base.rotate(later(hours * 3590 + 100), &id, generation, GRACE_MS).await);
        assert_eq!(rotated.expires_at, later(86_400));
        generation = rotated.generation;
    }
    refused(base.rotate(later(86_400), &id, generation, GRACE_MS).await, "expired");
}

async fn revoked_grant_stays_revoked(base: Base) {
    let id = base.grant().await;
    redeemed(base.redeem(NOW, &id, &base.client).await);
    redeemed(base.rotate(NOW, &id, 1, GRACE_MS).await);
    let revoke = |client: &str| base.store.revoke_grant(later(1), who(), id.clone(), client.to_owned());
    assert!(!revoke("client_other").await.expect("an answer"), "only its own client's");
    assert!(revoke(&base.client).await.expect("an answer"));
    assert!(!revoke(&base.client).await.expect("an answer"), "once");
    // Also within the grace window.
    refused(base.rotate(later(2), &id, 1, GRACE_MS).await, "revoked");
    refused(base.rotate(later(2), &id, 2, GRACE_MS).await, "revoked");
    assert!(base.store.live_grant(later(2), &id, &base.client, 2).await.expect("a look").is_none());
    assert_eq!(base.store.grant_client(&id).await.expect("a look").as_deref(), Some(base.client.as_str()));
}

async fn disabling_a_user_suspends_grants_without_revoking_them(base: Base) {
    let (pending, running) = (base.grant().await, base.grant().await);
    redeemed(base.redeem(NOW, &running, &base.client).await);
    let active = |active| base.store.set_user_active(NOW, who(), base.user.clone(), active);
    assert!(active(false).await.expect("an answer"));
    refused(base.redeem(later(1), &pending, &base.client).await, "the user is disabled");
    refused(base.rotate(later(1), &running, 1, GRACE_MS).await, "the user is disabled");
    assert!(base.store.grant_token_state(&running, "jti").await.expect("a look").expect("a grant").disabled);
    assert!(active(true).await.expect("an answer"));
    redeemed(base.redeem(later(2), &pending, &base.client).await);
    redeemed(base.rotate(later(2), &running, 1, GRACE_MS).await);
}

async fn new_password_revokes_grants(base: Base) {
    let id = base.grant().await;
    redeemed(base.redeem(NOW, &id, &base.client).await);
    let other = base.store.insert_user(NOW, who(), new_user("bob@example.com")).await.expect("a user");
    let set = |user: &str| base.store.set_password(later(1), who(), user.to_owned(), "$argon2id$new".to_owned());
    assert!(set(&other).await.expect("an answer"));
    assert!(!base.is_revoked(&id).await, "another user's");
    assert!(!set("user_none").await.expect("an answer"));
    assert!(set(&base.user).await.expect("an answer"));
    refused(base.rotate(later(2), &id, 1, GRACE_MS).await, "revoked");
}

async fn revoked_grant_is_deleted_after_a_day(base: Base) {
    const DAY: i64 = 86_400;
    let long = || NewGrant { expires_at: later(10 * DAY), ..grant(NOW, &base.user, &base.client) };
    let (live, revoked) = (long(), long());
    let ids = [live.id.text(), revoked.id.text()];
    for grant in [live, revoked] {
        keep(&base.store, NOW, grant).await;
    }
    for id in &ids {
        redeemed(base.redeem(later(1), id, &base.client).await);
    }
    assert!(base.store.revoke_grant(later(2), who(), ids[1].clone(), base.client.clone()).await.expect("an answer"));
    let left = async |at: i64| {
        base.store.purge_expired(later(at), Duration::from_hours(400 * 24)).await.expect("purged");
        let kept = async |id: &str| base.store.grant_client(id).await.expect("a look").is_some();
        [kept(&ids[0]).await, kept(&ids[1]).await]
    };
    assert_eq!(left(DAY).await, [true, true]);
    assert_eq!(left(DAY + 3).await, [true, false]);
}
