//! Owns tests of counting keys and grants by state: every row once, however many pages there are.

use grantd::{
    engine::census::Census,
    model::secret::Digest,
    store::{ImportBatch, ImportProgress, ImportedKey},
};

use super::{Base, NOW, who};
use crate::harness::prepare;

on_each_engine!(keys_are_counted_once_across_pages, grants_are_counted_by_state);

/// Imports 2,500 keys, of which every fifth expires in an hour.
async fn import(base: &Base) {
    let imported = |number: usize| ImportedKey {
        id: format!("key_imported{number:05}"),
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
        expires_at: number.is_multiple_of(5).then(|| NOW.plus_seconds(3600)),
    };
    for batch in 0..5 {
        let batch = ImportBatch {
            id: format!("import {batch}"),
            keys: (batch * 500..(batch + 1) * 500).map(imported).collect(),
            progress: ImportProgress::default(),
            owners_plan: None,
            dry_run: false,
        };
        assert_eq!(base.store.import_keys(NOW, who(), batch).await.expect("imported").1.imported, 500);
    }
}

async fn keys_are_counted_once_across_pages(base: Base) {
    import(&base).await;
    for number in [3, 1500] {
        let id = format!("key_imported{number:05}");
        assert!(base.store.revoke_key(NOW, who(), id, None).await.expect("revoked"));
    }
    let first = base.store.count_keys(NOW, "").await.expect("a page");
    assert_eq!(first.next.as_deref(), Some("key_imported00999"), "a page is a thousand rows");
    let census = Census::default();
    assert!(census.totals()[0].1.is_none(), "nothing is counted before the first whole lap");
    census.advance(&base.store, NOW).await.expect("counted");
    let keys = |census: &Census| census.totals()[0].1.clone().expect("a lap");
    assert_eq!(keys(&census).states, [2498, 0, 2]);
    // The next round is independent of the last.
    let later = NOW.plus_seconds(3600);
    census.advance(&base.store, later).await.expect("counted");
    assert_eq!((keys(&census).at, keys(&census).states), (later, vec![1999, 499, 2]));
}

async fn grants_are_counted_by_state(base: Base) {
    let grant = async || {
        let new = prepare::grant(NOW, &base.user, &base.client);
        let id = new.id.text();
        prepare::keep(&base.store, NOW, new).await;
        id
    };
    let (_pending, redeemed, revoked) = (grant().await, grant().await, grant().await);
    let idle = NOW.plus_seconds(7200);
    base.store.redeem_code(NOW, who(), redeemed, base.client.clone(), idle, |_| Ok(())).await.expect("redeemed");
    assert!(base.store.revoke_grant(NOW, who(), revoked, base.client.clone()).await.expect("revoked"));
    for (seconds, active, expired, pending) in [(0, 1, 0, 1), (600, 1, 1, 0), (7200, 0, 2, 0)] {
        let counted = base.store.count_grants(NOW.plus_seconds(seconds), "").await.expect("counted");
        assert_eq!(counted.states, [active, expired, 1, pending], "after {seconds} s");
        assert_eq!(counted.next, None);
    }
}
