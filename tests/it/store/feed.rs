//! Owns tests of the changes feed (DESIGN idea 3): no change is missed, whoever writes and however late it is read.

use std::sync::atomic::{AtomicBool, Ordering};

use grantd::{
    cache::{Cached, Entity, EntityKind},
    store::{ChangeFeed, Store},
};

use super::{Base, NOW, new_api, new_client, new_user, who};
use crate::harness::prepare::{self, keep};

on_each_engine!(
    changes_elsewhere_are_seen_at_the_next_poll,
    relevant_changes_are_in_the_feed,
    feed_reader_that_falls_behind_trusts_nothing,
    feed_reader_with_purged_changes_trusts_nothing,
    concurrent_writers_hide_no_change_from_the_feed,
);

fn cached(store: &Store, kind: EntityKind, id: &str) -> Cached<()> {
    Cached::new((), store.freshness().position(), [Entity::new(kind, id)])
}

async fn changes_elsewhere_are_seen_at_the_next_poll(base: Base) {
    let other = base.other_node().await;
    let mut feed = ChangeFeed::default();
    assert!(!other.freshness().is_confirmed());
    let kinds = looked(&mut feed, &other).await;
    assert_eq!(kinds, [EntityKind::Catalog, EntityKind::SigningKeys], "the first look starts afresh");
    assert!(other.freshness().is_confirmed());
    let (user, client) =
        (cached(&other, EntityKind::User, &base.user), cached(&other, EntityKind::Client, &base.client));
    assert!(looked(&mut feed, &other).await.is_empty());
    assert!(base.store.set_user_active(NOW, who(), base.user.clone(), false).await.expect("an answer"));
    assert!(other.freshness().is_fresh(&user), "not learned yet");
    assert_eq!(looked(&mut feed, &other).await, [EntityKind::User]);
    assert!(!other.freshness().is_fresh(&user) && other.freshness().is_fresh(&client));
}

async fn relevant_changes_are_in_the_feed(base: Base) {
    use EntityKind::{Catalog, Client, Grant, Key, SigningKeys, Token, User};
    let other = base.other_node().await;
    let mut feed = ChangeFeed::default();
    looked(&mut feed, &other).await;
    let mut told = async || {
        let mut kinds = looked(&mut feed, &other).await;
        kinds.dedup();
        kinds
    };
    let store = &base.store;
    let grant = prepare::grant(NOW, &base.user, &base.client);
    let id = grant.id.text();
    keep(store, NOW, grant).await;
    assert!(told().await.is_empty(), "nothing can be cached of it yet");
    store.revoke_grant(NOW, who(), id, base.client.clone()).await.expect("an answer");
    assert_eq!(told().await, [Grant]);
    store.revoke_token(NOW, who(), "jti".to_owned(), base.client.clone(), NOW).await.expect("revoked");
    assert_eq!(told().await, [Token]);
    store.set_client_active(NOW, who(), base.client.clone(), false).await.expect("an answer");
    assert_eq!(told().await, [Client]);
    store.set_password(NOW, who(), base.user.clone(), "$argon2id$new".to_owned()).await.expect("an answer");
    assert_eq!(told().await, [User]);
    let (api, client) = new_api("other", "https://other.example.com", &["admin"]);
    store.insert_api(NOW, who(), api, client).await.expect("an API");
    assert_eq!(told().await, [Client, Catalog]);
    store.set_client_active(NOW, who(), base.client.clone(), true).await.expect("an answer");
    assert_eq!(told().await, [Client]);
    let grant = prepare::grant(NOW, &base.user, &base.client);
    keep(store, NOW, grant).await;
    store.withdraw_consent(NOW, who(), base.user.clone(), base.client.clone()).await.expect("an answer");
    assert_eq!(told().await, [User]);
    store.delete_client(NOW, who(), base.client.clone(), None).await.expect("an answer");
    assert_eq!(told().await, [Client]);
    store.delete_signing_key(NOW, who(), "none".to_owned()).await.expect("an answer");
    store.revoke_key(NOW, who(), "key_none".to_owned(), None).await.expect("an answer");
    assert!(told().await.is_empty(), "nothing changed");
    assert!(![Key, SigningKeys].is_empty());
}

async fn feed_reader_that_falls_behind_trusts_nothing(base: Base) {
    let other = base.other_node().await;
    let mut feed = ChangeFeed::default();
    looked(&mut feed, &other).await;
    let untouched = cached(&other, EntityKind::User, "user_untouched");
    let toggle = |active| base.store.set_user_active(NOW, who(), base.user.clone(), active);
    for n in 0..1000 {
        toggle(n % 2 == 0).await.expect("an answer");
    }
    assert_eq!(looked(&mut feed, &other).await.len(), 1000);
    assert!(other.freshness().is_fresh(&untouched), "a thousand are told apart");
    for n in 0..1001 {
        toggle(n % 2 == 0).await.expect("an answer");
    }
    assert_eq!(looked(&mut feed, &other).await, [EntityKind::Catalog, EntityKind::SigningKeys]);
    assert!(!other.freshness().is_fresh(&untouched));
}

async fn feed_reader_with_purged_changes_trusts_nothing(base: Base) {
    let other = base.other_node().await;
    let mut feed = ChangeFeed::default();
    looked(&mut feed, &other).await;
    let untouched = cached(&other, EntityKind::User, "user_untouched");
    base.store.insert_user(NOW, who(), new_user("bob@example.com")).await.expect("a user");
    base.store.purge_expired(NOW.plus_seconds(2 * 86_400), 86_400).await.expect("purged");
    base.store.insert_client(NOW.plus_seconds(2 * 86_400), who(), new_client()).await.expect("a client");
    looked(&mut feed, &other).await;
    assert!(!other.freshness().is_fresh(&untouched));
}

async fn concurrent_writers_hide_no_change_from_the_feed(base: Base) {
    // On PostgreSQL a number taken early may be committed late: the trap of DESIGN §4.
    const WRITERS: usize = 16;
    const EACH: usize = 25;
    let other = base.other_node().await;
    let mut feed = ChangeFeed::default();
    looked(&mut feed, &other).await;
    let ids: Vec<String> = (0..WRITERS * EACH).map(|n| format!("jti_{n}")).collect();
    let seen: Vec<Cached<()>> = ids.iter().map(|id| cached(&other, EntityKind::Token, id)).collect();
    let untouched = cached(&other, EntityKind::User, "user_untouched");
    let done = AtomicBool::new(false);
    let mut tasks = tokio::task::JoinSet::new();
    for own in ids.chunks(EACH) {
        let (store, own, client) = (base.store.clone(), own.to_vec(), base.client.clone());
        tasks.spawn(async move {
            for jti in own {
                store.revoke_token(NOW, who(), jti, client.clone(), NOW).await.expect("revoked");
            }
        });
    }
    let follow = async {
        let mut learned = 0;
        while !done.load(Ordering::SeqCst) {
            learned += looked(&mut feed, &other).await.len();
            tokio::task::yield_now().await;
        }
        learned + looked(&mut feed, &other).await.len()
    };
    let write = async {
        tasks.join_all().await;
        done.store(true, Ordering::SeqCst);
    };
    let (learned, ()) = tokio::join!(follow, write);
    assert_eq!(learned, WRITERS * EACH);
    assert!(seen.iter().all(|cached| !other.freshness().is_fresh(cached)), "none was missed");
    assert!(other.freshness().is_fresh(&untouched), "and nothing else was forgotten");
}

/// The result of a poll, confirmed.
async fn looked(feed: &mut ChangeFeed, store: &Store) -> Vec<EntityKind> {
    let look = feed.poll(store).await.expect("a look");
    look.confirm(store);
    look.kinds
}
