//! Owns revoking everything of a kind that was issued within a time.

use grantd::{
    model::{clock::Timestamp, secret::Digest},
    store::Issued,
};

use super::{Base, NOW, PASSWORD, keys::new_key, who};
use crate::harness::prepare::{grant, keep, session};

on_each_engine!(what_was_issued_within_a_time_is_revoked, every_page_is_revoked,);

const ALWAYS: (Timestamp, Timestamp) = (Timestamp(i64::MIN), Timestamp(i64::MAX));

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

impl Base {
    /// Revokes at 100 seconds what was issued from one moment and before another.
    async fn revoke_issued(&self, kind: Issued, (since, until): (Timestamp, Timestamp)) -> i64 {
        self.store.revoke_issued(at(100), who(), kind, since, until).await.expect("revoked")
    }

    async fn live_of(&self, kind: Issued) -> Vec<String> {
        let sql = match kind {
            Issued::Sessions => "SELECT CAST(auth_time AS TEXT) FROM sessions",
            Issued::Grants => "SELECT CAST(created_at AS TEXT) FROM grants WHERE revoked_at IS NULL",
            Issued::Keys => "SELECT CAST(created_at AS TEXT) FROM api_keys WHERE revoked_at IS NULL",
        };
        let mut live = self.database.column(sql).await;
        live.sort_unstable();
        live
    }
}

async fn what_was_issued_within_a_time_is_revoked(base: Base) {
    // THREATS: ST8
    for seconds in [10, 20, 30] {
        let digest = Digest::of(&format!("session {seconds}"));
        let new = session(at(seconds), &base.user, digest, PASSWORD);
        assert!(base.store.insert_session(at(seconds), who(), new).await.expect("an answer"));
        keep(&base.store, at(seconds), grant(at(seconds), &base.user, &base.client)).await;
        let (secret, key) = new_key(&base.user);
        base.store.insert_key(at(seconds), who(), secret.digest(), key).await.expect("a key");
    }
    // The session in which the grants were approved.
    base.database.run(&format!("DELETE FROM sessions WHERE digest = '{}'", Digest::of(&base.user).text())).await;
    for (kind, event) in
        [(Issued::Sessions, "session.end"), (Issued::Grants, "grant.revoke"), (Issued::Keys, "key.revoke")]
    {
        assert_eq!(base.revoke_issued(kind, (at(20), at(30))).await, 1, "{kind:?}");
        assert_eq!(base.live_of(kind).await, [at(10).0.to_string(), at(30).0.to_string()], "{kind:?}");
        assert_eq!(base.revoke_issued(kind, ALWAYS).await, 2, "{kind:?}");
        assert!(base.live_of(kind).await.is_empty(), "{kind:?}");
        assert_eq!(base.revoke_issued(kind, ALWAYS).await, 0, "{kind:?}");
        assert_eq!(base.batches(event).await, [2, 1], "{kind:?}");
    }
}

async fn every_page_is_revoked(base: Base) {
    base.granted_often(&base.client, 1200).await;
    assert_eq!(base.revoke_issued(Issued::Grants, ALWAYS).await, 1200);
    assert_eq!((base.live().await, base.batches("grant.revoke").await), (0, vec![500, 500, 200]));
}
