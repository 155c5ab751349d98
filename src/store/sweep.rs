//! Owns deleting what has ended. Nothing depends on it: expiry is enforced where a row is read.

use super::{Error, Store, row::binds};
use crate::model::clock::Timestamp;

/// Rows of one table deleted in one transaction, so that a sweep never holds others up.
const BATCH: i64 = 500;
/// How long a change stays in the feed; a reader further behind starts afresh.
const CHANGES_KEPT_SECONDS: i64 = DAY_SECONDS;
const DAY_SECONDS: i64 = 86_400;
/// How long counts by hour stay.
const USAGE_KEPT_SECONDS: i64 = 400 * DAY_SECONDS;
/// How long, and how many at most, refusals stay.
const DENIALS_KEPT_SECONDS: i64 = 30 * DAY_SECONDS;
const DENIALS_KEPT: i64 = 100_000;

impl Store {
    /// Deletes expired rows, and audit entries older than `audit_seconds`, a bounded number of each kind.
    /// Says whether there may be more.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn sweep(&self, now: Timestamp, audit_seconds: i64) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let feed_before = now.plus_seconds(-CHANGES_KEPT_SECONDS);
                // A day's margin: the clocks of nodes differ, and a revoked token must not come back on a slower one.
                let day_ago = now.plus_seconds(-DAY_SECONDS);
                let swept = [
                    tx.execute("DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at < $1 LIMIT $2)", binds![day_ago, BATCH]).await?,
                    // A code that nobody redeemed leads nowhere.
                    tx.execute(
                        "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE generation = 0 AND code_expires_at < $1 LIMIT $2)",
                        binds![day_ago, BATCH],
                    )
                    .await?,
                    tx.execute(
                        "DELETE FROM revoked_tokens WHERE jti IN (SELECT jti FROM revoked_tokens WHERE expires_at < $1 LIMIT $2)",
                        binds![day_ago, BATCH],
                    )
                    .await?,
                    tx.execute("DELETE FROM sessions WHERE digest IN (SELECT digest FROM sessions WHERE expires_at < $1 LIMIT $2)", binds![now, BATCH])
                        .await?,
                    tx.execute(
                        "DELETE FROM interactions WHERE digest IN (SELECT digest FROM interactions WHERE expires_at < $1 LIMIT $2)",
                        binds![now, BATCH],
                    )
                    .await?,
                    tx.execute("DELETE FROM changes WHERE seq IN (SELECT seq FROM changes WHERE at < $1 LIMIT $2)", binds![feed_before, BATCH]).await?,
                    tx.trim_audit(now.plus_seconds(-audit_seconds)).await?,
                    tx.execute(
                        "DELETE FROM key_usage WHERE (key_id, hour) IN (SELECT key_id, hour FROM key_usage WHERE hour < $1 LIMIT $2)",
                        binds![now.plus_seconds(-USAGE_KEPT_SECONDS), BATCH],
                    )
                    .await?,
                    // By age, and by number: refusals are what a flood is made of.
                    tx.execute(
                        "DELETE FROM denials WHERE id IN (SELECT id FROM denials WHERE at < $1 OR at < (SELECT at FROM denials ORDER BY at DESC LIMIT 1 OFFSET $3) LIMIT $2)",
                        binds![now.plus_seconds(-DENIALS_KEPT_SECONDS), BATCH, DENIALS_KEPT],
                    )
                    .await?,
                    tx.execute(
                        "DELETE FROM idempotency WHERE (actor, name) IN (SELECT actor, name FROM idempotency WHERE expires_at < $1 LIMIT $2)",
                        binds![now, BATCH],
                    )
                    .await?,
                ];
                Ok(swept.into_iter().any(|count| count >= u64::try_from(BATCH).unwrap_or_default()))
            })
        })
        .await
    }
}
