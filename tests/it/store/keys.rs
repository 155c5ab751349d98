//! Owns tests of the rows of API keys, revoked tokens and signing keys.

use grantd::{
    config::Config,
    engine::{
        new_key::{self, NewKey},
        usage::Usage,
    },
    model::{
        clock::Timestamp,
        key::{ApiKey, KeyStatus},
        principal::Presentation,
        scope::Scopes,
        secret::{Digest, Secret},
        usage::Outcome,
    },
    store::{Error, ImportBatch, ImportProgress, ImportedKey, KeyUse, Replacement, SigningKeyRow},
};

use super::{Base, NOW, new_user, who};

on_each_engine!(
    key_is_found_only_by_its_digest,
    duplicate_key_is_a_conflict,
    key_is_revoked_once_and_only_by_its_owner,
    rotation_never_extends_the_old_key,
    user_with_many_imported_keys_can_list_and_replace_them,
    uses_are_summed_and_the_first_is_an_event,
    refusals_of_ended_keys_are_written,
    long_user_agents_are_kept_shortened,
    token_revocation_is_one_row,
    concurrent_nodes_create_one_signing_key,
);

pub(super) fn new_key(user: &str) -> (Secret, ApiKey) {
    let new = NewKey::of(user, "Test key", Scopes::parse("read").expect("scopes"));
    let config = Config::load(None, [], &[]).expect("a configuration");
    new_key::create(NOW, &config, new).expect("a key")
}

impl Base {
    async fn key(&self) -> (Secret, ApiKey) {
        let (secret, key) = new_key(&self.user);
        self.store.insert_key(NOW, who(), secret.digest(), key.clone()).await.expect("a key");
        (secret, key)
    }

    async fn stored(&self, secret: &Secret) -> ApiKey {
        self.store.find_key_by_digest(&secret.digest()).await.expect("a look").expect("a key").key
    }
}

async fn key_is_found_only_by_its_digest(base: Base) {
    let (secret, key) = base.key().await;
    let found = base.store.find_key_by_digest(&secret.digest()).await.expect("a look").expect("a key");
    assert_eq!((&found.key.id, &found.user.id, found.disabled), (&key.id, &base.user, false));
    assert_eq!((found.key.scopes.to_string().as_str(), found.key.hint.as_str()), ("read", secret.hint().as_str()));
    assert!(base.store.find_key_by_digest(&Digest::of(secret.hint().as_str())).await.expect("a look").is_none());
    assert!(base.store.set_user_active(NOW, who(), base.user.clone(), false).await.expect("an answer"));
    assert!(base.store.find_key_by_digest(&secret.digest()).await.expect("a look").expect("a key").disabled);
    let by_id = base.store.find_key(&key.id).await.expect("a look").expect("a key");
    assert_eq!(by_id.created_at, NOW);
    assert!(base.store.find_key("key_none").await.expect("a look").is_none());
}

async fn duplicate_key_is_a_conflict(base: Base) {
    let (secret, key) = base.key().await;
    let again = |digest, key| base.store.insert_key(NOW, who(), digest, key);
    let (other_secret, other_key) = new_key(&base.user);
    assert!(matches!(again(other_secret.digest(), key).await, Err(Error::Conflict)), "the same form twice");
    assert!(matches!(again(secret.digest(), other_key).await, Err(Error::Conflict)), "the same secret twice");
    assert_eq!(base.store.list_keys(NOW, &base.user, None).await.expect("keys").len(), 1);
}

async fn key_is_revoked_once_and_only_by_its_owner(base: Base) {
    let other = base.store.insert_user(NOW, who(), new_user("bob@example.com")).await.expect("a user");
    let (secret, key) = base.key().await;
    let revoke = |at: Timestamp, id: &str, user: Option<&str>| {
        base.store.revoke_key(at, who(), id.to_owned(), user.map(ToOwned::to_owned))
    };
    assert!(!revoke(NOW, &key.id, Some(&other)).await.expect("an answer"), "somebody else's");
    assert!(!revoke(NOW, "key_none", None).await.expect("an answer"));
    assert_eq!(base.stored(&secret).await.status(NOW), KeyStatus::Active);
    assert!(revoke(NOW.plus_seconds(1), &key.id, Some(&base.user)).await.expect("an answer"));
    assert!(revoke(NOW.plus_seconds(2), &key.id, None).await.expect("an answer"), "counts as revoked");
    assert_eq!(base.stored(&secret).await.revoked_at, Some(NOW.plus_seconds(1)));
    assert_eq!(base.audit(1).await, ["key.revoke"]);
}

async fn rotation_never_extends_the_old_key(base: Base) {
    let (secret, key) = base.key().await;
    let rotate = async |old: &ApiKey, seconds: i64| {
        let (next, record) = new_key(&base.user);
        let old_ends_at = Some(NOW.plus_seconds(seconds)).filter(|_| seconds > 0);
        let replacement = Replacement {
            old_id: old.id.clone(),
            old_ends_at,
            user_id: Some(base.user.clone()),
            digest: next.digest(),
            new: record.clone(),
        };
        (base.store.replace_key(NOW, who(), replacement).await, next, record)
    };
    let (done, next, record) = rotate(&key, 100).await;
    assert!(done.expect("an answer"));
    assert_eq!(base.stored(&secret).await.expires_at, Some(NOW.plus_seconds(100)));
    assert_eq!(base.stored(&next).await.expires_at, None);
    let (again, none, _) = rotate(&key, 200).await;
    assert!(matches!(again, Err(Error::Refused(_))), "it has a successor");
    assert!(base.store.find_key_by_digest(&none.digest()).await.expect("a look").is_none(), "nothing was created");
    assert_eq!(base.stored(&secret).await.expires_at, Some(NOW.plus_seconds(100)), "not later");
    let (done, last, _) = rotate(&record, 0).await;
    assert!(done.expect("an answer"));
    for ended in [&secret, &next] {
        assert_eq!(base.stored(ended).await.revoked_at, Some(NOW));
    }
    assert_eq!(base.stored(&last).await.status(NOW), KeyStatus::Active);
    let strangers = Replacement {
        old_id: base.stored(&last).await.id,
        old_ends_at: None,
        user_id: Some("user_other".to_owned()),
        digest: none.digest(),
        new: record,
    };
    assert!(!base.store.replace_key(NOW, who(), strangers).await.expect("an answer"));
}

/// Imported keys of one user, two more than one list shows.
async fn import_many(base: &Base) {
    let imported = |number: usize| ImportedKey {
        id: format!("key_imported{number:04}"),
        digest: Digest::of(&format!("imported {number}")),
        owner: "alice@example.com".to_owned(),
        name: "Imported key".to_owned(),
        prefix: String::new(),
        hint: String::new(),
        scopes: "read".to_owned(),
        environment: "live".to_owned(),
        project: None,
        plan: None,
        networks: String::new(),
        expires_at: None,
    };
    let batch = ImportBatch {
        id: "import".to_owned(),
        keys: (0..502).map(imported).collect(),
        progress: ImportProgress::default(),
        owners_plan: None,
        dry_run: false,
    };
    assert_eq!(base.store.import_keys(NOW, who(), batch).await.expect("imported").1.imported, 502);
}

async fn user_with_many_imported_keys_can_list_and_replace_them(base: Base) {
    let (_, ended) = base.key().await;
    base.store.revoke_key(NOW, who(), ended.id.clone(), None).await.expect("revoked");
    import_many(&base).await;
    let list = async || base.store.list_keys(NOW, &base.user, None).await.expect("keys");
    let listed = list().await;
    let ids = |range: std::ops::Range<usize>| range.rev().map(|number| format!("key_imported{number:04}"));
    assert!(listed.iter().map(|key| key.id.clone()).eq(ids(2..502)), "live ones alone, the last first");
    // One more is too many, but a replacement is not.
    let (secret, key) = new_key(&base.user);
    let more = base.store.insert_key(NOW, who(), secret.digest(), key.clone()).await;
    assert!(matches!(more, Err(Error::Refused(_))), "{more:?}");
    for (old, end) in [("key_imported0000", None), ("key_imported0001", Some(NOW.plus_seconds(60)))] {
        let (secret, new) = new_key(&base.user);
        let (old_id, digest) = (old.to_owned(), secret.digest());
        let replacement = Replacement { old_id, old_ends_at: end, user_id: None, digest, new };
        assert!(base.store.replace_key(NOW, who(), replacement).await.expect("replaced"), "{old}");
    }
    for number in 0..450 {
        base.store.revoke_key(NOW, who(), format!("key_imported{number:04}"), None).await.expect("revoked");
    }
    let listed = list().await;
    let live = listed.iter().take_while(|key| key.status(NOW) == KeyStatus::Active).count();
    assert_eq!((live, listed.len()), (54, 500));
    assert!(listed[54..].iter().all(|key| key.status(NOW) == KeyStatus::Revoked));
}

async fn uses_are_summed_and_the_first_is_an_event(base: Base) {
    let (secret, key) = base.key().await;
    let flush = async |times: i64, seconds: i64| {
        let of = |id: &str, allowed| KeyUse {
            key_id: id.to_owned(),
            allowed,
            last_used_at: Some(NOW.plus_seconds(seconds)),
            ..KeyUse::default()
        };
        let uses = vec![of(&key.id, times), of("key_none", 1)];
        base.store.flush_key_uses(NOW, uses).await.expect("flushed");
    };
    flush(3, 10).await;
    flush(2, 5).await;
    flush(0, 99).await;
    assert_eq!(base.stored(&secret).await.last_used_at, Some(NOW.plus_seconds(10)), "never back");
    assert_eq!(base.audit(9).await.iter().filter(|event| *event == "key.first_use").count(), 1);
}

async fn refusals_of_ended_keys_are_written(base: Base) {
    let mut ids = Vec::new();
    // More than one batch.
    for _ in 0..101 {
        ids.push(base.key().await.1.id);
    }
    let usage = Usage::default();
    ids.iter().for_each(|id| usage.count_rejected(id));
    base.database.run("ALTER TABLE key_usage RENAME TO gone").await;
    usage.flush(&base.store, NOW).await.expect_err("nothing can be written");
    base.database.run("ALTER TABLE gone RENAME TO key_usage").await;
    usage.flush(&base.store, NOW).await.expect("flushed");
    for id in &ids {
        let hours = base.store.key_usage(id, NOW).await.expect("usage");
        assert_eq!(hours.iter().map(|hour| hour.denied).collect::<Vec<_>>(), [1], "{id}");
    }
}

async fn long_user_agents_are_kept_shortened(base: Base) {
    let (secret, key) = base.key().await;
    let (usage, counter) = (Usage::default(), Usage::default().counter(&key.id));
    for agent in ["x".repeat(300), "y".repeat(300), "z/2".to_owned()] {
        let from = Presentation { agent: Some(&agent), ..Presentation::default() };
        usage.count(&counter, NOW, Outcome::Allowed, &from);
        usage.flush(&base.store, NOW).await.expect("flushed");
        let shown = base.stored(&secret).await.last_agent.expect("an agent");
        assert_eq!(shown, agent.chars().take(200).collect::<String>());
    }
}

async fn token_revocation_is_one_row(base: Base) {
    let revoke = || base.store.revoke_token(NOW, who(), "jti_1".to_owned(), base.client.clone(), NOW.plus_seconds(60));
    let state = async |jti: &str| {
        base.store.client_token_state(&base.client, jti).await.expect("a look").expect("a client").revoked
    };
    assert!(!state("jti_1").await);
    revoke().await.expect("revoked");
    revoke().await.expect("revoked again");
    assert!(state("jti_1").await && !state("jti_2").await);
    assert_eq!(base.audit(9).await.iter().filter(|event| *event == "token.revoke").count(), 1);
    assert!(base.store.client_token_state("client_none", "jti_1").await.expect("a look").is_none());
}

async fn concurrent_nodes_create_one_signing_key(base: Base) {
    // THREATS: MN4
    let other = base.other_node().await;
    let key = |kid: &str| SigningKeyRow {
        kid: kid.to_owned(),
        algorithm: "ES256".to_owned(),
        generation: 1,
        sealed: "sealed".to_owned(),
        public_jwk: "{}".to_owned(),
        created_at: NOW,
        active_from: NOW,
    };
    let (one, two) = tokio::join!(
        base.store.insert_signing_key(NOW, who(), key("a")),
        other.insert_signing_key(NOW, who(), key("b"))
    );
    assert_ne!(one.expect("an answer"), two.expect("an answer"), "one of them created it");
    let keys = base.store.signing_keys().await.expect("keys");
    assert_eq!(keys.len(), 1);
    base.store.delete_signing_key(NOW, who(), keys[0].kid.clone()).await.expect("dropped");
    assert!(other.signing_keys().await.expect("keys").is_empty());
}
