//! Owns deleting expired rows. Nothing depends on it: expiry is enforced when a row is read.

use std::time::Duration;

use super::{
    Error, Store,
    row::binds,
    tx::{Tx, transaction},
};
use crate::model::clock::Timestamp;

/// Rows of one table deleted in one transaction, so that a purge never blocks others for long.
const BATCH: i64 = 500;
/// How long a change stays in the feed; a reader that lags further invalidates its whole cache.
const CHANGES_KEPT: Duration = DAY;
const AT_ONCE: Duration = Duration::ZERO;
const DAY: Duration = Duration::from_hours(24);
/// How long hourly counts are kept. They are not folded into days: any 31 days of them can be asked for by the hour.
const USAGE_KEPT: Duration = Duration::from_hours(400 * 24);
/// How long refusals are kept, and how many at most: with and without an owner each, and of one owner.
const DENIALS_AGE_MAX: Duration = Duration::from_hours(30 * 24);
const DENIALS_KEPT: i64 = 100_000;
const DENIALS_OF_ONE_KEPT: i64 = 2000;
/// Owners above that number processed in one transaction.
const OWNERS: i64 = 20;
/// How long the progress of an unfinished import is kept.
const IMPORTS_KEPT: Duration = Duration::from_hours(30 * 24);
/// How long an ended key is kept, and how many are deleted in one transaction with their networks.
const KEYS_KEPT: Duration = Duration::from_hours(365 * 24);
const KEYS_BATCH: i64 = 100;

impl Tx {
    /// By age and by number: a flood of requests produces refusals. Refusals without an owner never displace those with
    /// one, and one owner's never displace another's.
    async fn purge_denials(&mut self, now: Timestamp) -> Result<u64, Error> {
        let old = "DELETE FROM denials WHERE id IN (SELECT id FROM denials WHERE at < $1 LIMIT $2)";
        let mut deleted = self.execute(old, binds![now - DENIALS_AGE_MAX, BATCH]).await?;
        for too_many in [
            "DELETE FROM denials WHERE id IN
             (SELECT id FROM denials WHERE user_id IS NULL ORDER BY at DESC, id DESC LIMIT $1 OFFSET $2)",
            "DELETE FROM denials WHERE id IN
             (SELECT id FROM denials WHERE user_id IS NOT NULL ORDER BY at DESC, id DESC LIMIT $1 OFFSET $2)",
        ] {
            deleted = deleted.max(self.execute(too_many, binds![BATCH, DENIALS_KEPT]).await?);
        }
        let owners =
            "SELECT user_id FROM denials WHERE user_id IS NOT NULL GROUP BY user_id HAVING COUNT(*) > $1 LIMIT $2";
        for owner in self.list::<String>(owners, binds![DENIALS_OF_ONE_KEPT, OWNERS]).await? {
            let too_many = "DELETE FROM denials WHERE id IN
                            (SELECT id FROM denials WHERE user_id = $1 ORDER BY at DESC, id DESC LIMIT $2 OFFSET $3)";
            deleted = deleted.max(self.execute(too_many, binds![&owner, BATCH, DENIALS_OF_ONE_KEPT]).await?);
        }
        Ok(deleted)
    }

    /// Deletes keys that ended before `before`, with their networks. Their usage counts expire by their own age.
    async fn purge_keys(&mut self, before: Timestamp) -> Result<u64, Error> {
        let mut most = 0;
        for ended in [
            "DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE revoked_at < $1 LIMIT $2) RETURNING id",
            "DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE expires_at < $1 LIMIT $2) RETURNING id",
        ] {
            let keys: Vec<String> = self.list(ended, binds![before, KEYS_BATCH]).await?;
            most = most.max(keys.len());
            let ids: Vec<_> = keys.iter().map(|key| binds![key].to_vec()).collect();
            self.execute_each("DELETE FROM key_networks WHERE key_id IN (VALUES ($1))", &ids).await?;
        }
        let may_be_more = most >= usize::try_from(KEYS_BATCH).unwrap_or_default();
        Ok(if may_be_more { BATCH.unsigned_abs() } else { 0 })
    }
}

/// Expiring rows: how long they are kept afterwards, and the statement that deletes some before `$1`.
const ENDED: &[(Duration, &str)] = &[
    // A day's margin: node clocks differ, and a revoked token must not become valid again on a slower one.
    (DAY, "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at < $1 LIMIT $2)"),
    // An unredeemed code is of no use.
    (
        DAY,
        "DELETE FROM grants WHERE id IN
         (SELECT id FROM grants WHERE generation = 0 AND code_expires_at < $1 LIMIT $2)",
    ),
    // From then on, the audit log is the only record of a revoked grant.
    (DAY, "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE revoked_at < $1 LIMIT $2)"),
    (DAY, "DELETE FROM revoked_tokens WHERE jti IN (SELECT jti FROM revoked_tokens WHERE expires_at < $1 LIMIT $2)"),
    (AT_ONCE, "DELETE FROM sessions WHERE digest IN (SELECT digest FROM sessions WHERE expires_at < $1 LIMIT $2)"),
    (
        AT_ONCE,
        "DELETE FROM interactions WHERE digest IN (SELECT digest FROM interactions WHERE expires_at < $1 LIMIT $2)",
    ),
    (AT_ONCE, "DELETE FROM returns WHERE browser IN (SELECT browser FROM returns WHERE expires_at < $1 LIMIT $2)"),
    (CHANGES_KEPT, "DELETE FROM changes WHERE seq IN (SELECT seq FROM changes WHERE at < $1 LIMIT $2)"),
    (
        USAGE_KEPT,
        "DELETE FROM key_usage WHERE (key_id, hour) IN (SELECT key_id, hour FROM key_usage WHERE hour < $1 LIMIT $2)",
    ),
    (
        AT_ONCE,
        "DELETE FROM idempotency WHERE (actor, name) IN
         (SELECT actor, name FROM idempotency WHERE expires_at < $1 LIMIT $2)",
    ),
];

impl Store {
    /// Deletes expired rows, and audit entries older than `audit`: a bounded number of each kind, each in its
    /// own transaction. Returns whether there may be more.
    pub async fn purge_expired(&self, now: Timestamp, audit: Duration) -> Result<bool, Error> {
        let mut most = 0;
        for &(kept, sql) in ENDED {
            let before = now - kept;
            let deleted = transaction!(self, now, |tx| tx.execute(sql, binds![before, BATCH]).await)?;
            most = most.max(deleted);
        }
        let before = now - audit;
        most = most.max(transaction!(self, now, |tx| tx.trim_audit(before).await)?);
        most = most.max(transaction!(self, now, |tx| tx.purge_denials(now).await)?);
        let before = now - KEYS_KEPT;
        most = most.max(transaction!(self, now, |tx| tx.purge_keys(before).await)?);
        let before = now - IMPORTS_KEPT;
        transaction!(self, now, |tx| tx.purge_imports(before).await)?;
        Ok(most >= BATCH.unsigned_abs())
    }
}
