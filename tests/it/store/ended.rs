//! Owns tests of what is not stored without bounds: refusals per owner, keys created in a day, keys that ended long ago.

use grantd::{
    engine::denials::Denials,
    model::{
        denial::{DenialRecord, DeniedRequest},
        key::{ApiKey, KeyStatus},
    },
    store::{Error, KeyUse},
};

use super::{Base, NOW, keys::new_key, who};

on_each_engine!(
    noisy_script_does_not_displace_other_refusals,
    repeated_expired_token_does_not_displace_other_refusals,
    anonymous_refusals_do_not_displace_those_of_owners,
    keys_created_per_day_are_limited,
    only_keys_that_ended_a_year_ago_are_deleted,
);

const DAY: i64 = 86_400;

fn refusal(request_id: &str, user_id: Option<&str>, address: &str) -> DenialRecord {
    DenialRecord {
        request_id: request_id.to_owned(),
        at: NOW,
        status: 401,
        reason: "unknown".to_owned(),
        kind: None,
        asked: DeniedRequest::default(),
        api: None,
        key_id: None,
        user_id: user_id.map(ToOwned::to_owned),
        client_id: None,
        address: address.to_owned(),
    }
}

async fn noisy_script_does_not_displace_other_refusals(base: Base) {
    let denials = Denials::default();
    for _ in 0..2000 {
        denials.note(refusal("req_noise", Some("user_noisy"), "192.0.2.1"));
        denials.note(refusal("req_garbage", None, "192.0.2.1"));
    }
    denials.note(refusal("req_owner", Some(&base.user), "192.0.2.1"));
    denials.note(refusal("req_sender", None, "198.51.100.1"));
    let before = denials.of_request(&base.store, "req_owner", Some(&base.user)).await.expect("a look");
    assert_eq!(before.len(), 1, "also before it is written");
    denials.flush(&base.store, NOW).await.expect("flushed");
    let counts = base.database.column("SELECT COUNT(*) FROM denials GROUP BY request_id ORDER BY request_id").await;
    assert_eq!(counts, ["60", "60", "1", "1"]);
    // Written or not, examples are per hour; the next hour has its own.
    denials.note(refusal("req_noise", Some("user_noisy"), "192.0.2.1"));
    denials.flush(&base.store, NOW).await.expect("flushed");
    assert_eq!(base.database.column("SELECT COUNT(*) FROM denials").await, ["122"]);
    denials.note(DenialRecord { at: NOW.plus_seconds(3600), ..refusal("req_noise", Some("user_noisy"), "192.0.2.1") });
    denials.flush(&base.store, NOW).await.expect("flushed");
    assert_eq!(base.database.column("SELECT COUNT(*) FROM denials").await, ["123"]);
}

async fn repeated_expired_token_does_not_displace_other_refusals(base: Base) {
    let denials = Denials::default();
    let of = |user: &str, key: Option<&str>, client: Option<&str>, reason: &str, request_id: &str| DenialRecord {
        key_id: key.map(ToOwned::to_owned),
        client_id: client.map(ToOwned::to_owned),
        reason: reason.to_owned(),
        ..refusal(request_id, Some(user), "192.0.2.1")
    };
    // The reason's text changes with time, but not the kind of refusal.
    for minutes in 0..2000 {
        denials.note(of("user_alice", None, Some("client_x"), &format!("expired {minutes} min ago"), "req_replayed"));
    }
    denials.note(of("user_alice", None, Some("client_x"), "missing scope write", "req_scope"));
    // A sender with tokens of many users of an app does not displace those users' other refusals either.
    for user in 0..2000 {
        denials.note(of(&format!("user_{user}"), None, Some("client_x"), "expired just now", "req_spread"));
    }
    denials.note(of("user_alice", Some("key_1"), None, "revoked just now", "req_key"));
    denials.note(of("user_7", None, Some("client_y"), "expired just now", "req_other_app"));
    denials.flush(&base.store, NOW).await.expect("flushed");
    let sql = "SELECT request_id || ' ' || COUNT(*) FROM denials GROUP BY request_id ORDER BY request_id";
    let expected = ["req_key 1", "req_other_app 1", "req_replayed 60", "req_scope 1", "req_spread 539"];
    assert_eq!(base.database.column(sql).await, expected);
}

async fn anonymous_refusals_do_not_displace_those_of_owners(base: Base) {
    base.store.insert_denials(NOW, vec![refusal("req_owner", Some(&base.user), "192.0.2.1")]).await.expect("kept");
    let later = NOW.plus_seconds(60);
    // More anonymous ones than are kept in all, and more of one owner than are kept per owner.
    for (owner, count) in [("NULL", 100_300), ("'user_noisy'", 2600)] {
        let rows = format!(
            "INSERT INTO denials (id, request_id, at, status, reason, user_id, address)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             SELECT 'd' || COALESCE({owner}, '') || i, 'req_noise', {} + i, 401, 'unknown', {owner}, '192.0.2.9' FROM n",
            later.0
        );
        base.database.run(&rows).await;
    }
    while base.store.purge_expired(later, 400 * DAY).await.expect("purged") {}
    let count = async |owner: &str| {
        base.database.column(&format!("SELECT COUNT(*) FROM denials WHERE {owner}")).await.remove(0)
    };
    assert_eq!(count("user_id IS NULL").await, "100000");
    assert_eq!(count("user_id = 'user_noisy'").await, "2000");
    assert_eq!(base.store.denials_of_user(&base.user, None).await.expect("refusals").len(), 1);
    let oldest = "SELECT MIN(at) FROM denials WHERE user_id = 'user_noisy'";
    assert_eq!(base.database.column(oldest).await, [(later.0 + 601).to_string()], "the newest stay");
}

async fn keys_created_per_day_are_limited(base: Base) {
    let columns =
        "digest, user_id, name, prefix, hint, scopes, environment, form, networks, created_at, revoked_at, uses";
    for (form, count) in [("imported", 2000), ("prefixed", 999)] {
        let rows = format!(
            "INSERT INTO api_keys (id, {columns})
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             SELECT 'key_{form}' || i, 'digest_{form}' || i, '{}', 'Key', '', '', 'read', 'live', '{form}', '', {}, {1}, 0 FROM n",
            base.user, NOW.0
        );
        base.database.run(&rows).await;
    }
    let make = async |seconds: i64| {
        let (secret, key) = new_key(&base.user);
        base.store.insert_key(NOW.plus_seconds(seconds), who(), secret.digest(), key).await
    };
    make(0).await.expect("the last of this day");
    let more = make(1).await;
    assert!(matches!(&more, Err(Error::Refused(error)) if error.description.contains("24 hours")), "{more:?}");
    make(DAY + 1).await.expect("the first of the next");
}

async fn only_keys_that_ended_a_year_ago_are_deleted(base: Base) {
    let [revoked, expired, later, live] = [(); 4].map(|()| new_key(&base.user));
    let ends = NOW.plus_seconds(10);
    let expired = (expired.0, ApiKey { expires_at: Some(ends), ..expired.1 });
    for (secret, key) in [&revoked, &expired, &later, &live] {
        base.store.insert_key(NOW, who(), secret.digest(), key.clone()).await.expect("a key");
        let used = KeyUse {
            key_id: key.id.clone(),
            allowed: 1,
            last_used_at: Some(NOW),
            networks: vec!["192.0.2.0/24".to_owned()],
            ..KeyUse::default()
        };
        base.store.flush_key_uses(NOW, vec![used]).await.expect("used");
    }
    for (at, key) in [(ends, &revoked.1), (NOW.plus_seconds(DAY), &later.1)] {
        assert!(base.store.revoke_key(at, who(), key.id.clone(), None).await.expect("revoked"));
    }
    let kept = async |days: i64, seconds: i64| {
        let now = NOW.plus_seconds(days * DAY + seconds);
        while base.store.purge_expired(now, 400 * DAY).await.expect("purged") {}
        let mut kept = Vec::new();
        for (secret, key) in [&revoked, &expired, &later, &live] {
            let found = base.store.find_key_by_digest(&secret.digest()).await.expect("a look");
            assert_eq!(base.store.key_networks(&key.id).await.expect("places").len(), usize::from(found.is_some()));
            kept.extend(found.map(|found| found.key));
        }
        kept
    };
    assert_eq!(kept(365, 10).await.len(), 4, "a year to the second");
    let left: Vec<ApiKey> = kept(365, 11).await;
    assert_eq!(left.iter().map(|key| &key.id).collect::<Vec<_>>(), [&later.1.id, &live.1.id]);
    let left = kept(4000, 0).await;
    assert!(left.len() == 1 && left[0].status(NOW) == KeyStatus::Active, "{left:?}");
}
