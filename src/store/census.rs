//! Owns counting keys and grants by state, a page at a time in id order. Never counts a whole table in one query.

use super::{Error, Store, row::binds};
use crate::model::clock::Timestamp;

/// Rows read per query: about a millisecond.
const PAGE: i64 = 1000;
/// States of keys, in the order of the counts.
pub const KEY_STATES: [&str; 3] = ["active", "expired", "revoked"];
/// States of grants. A pending grant has a code that has not been redeemed yet.
pub const GRANT_STATES: [&str; 4] = ["active", "expired", "revoked", "pending"];

/// Counts of one page.
#[derive(Debug)]
pub struct CensusPage {
    /// Number in each state.
    pub states: Vec<i64>,
    /// Where the next page starts; `None` after the last page.
    pub next: Option<String>,
}

impl Store {
    /// Counts keys after this id by state, see [`KEY_STATES`].
    pub async fn count_keys(&self, now: Timestamp, after: &str) -> Result<CensusPage, Error> {
        const KEYS: &str = "SELECT COUNT(*), MAX(id),
                    COALESCE(SUM(CASE WHEN revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
                                      THEN 1 ELSE 0 END), 0),
                    COALESCE(SUM(CASE WHEN revoked_at IS NULL AND expires_at <= $2 THEN 1 ELSE 0 END), 0),
                    COALESCE(SUM(CASE WHEN revoked_at IS NOT NULL THEN 1 ELSE 0 END), 0)
             FROM (SELECT id, revoked_at, expires_at FROM api_keys WHERE id > $1 ORDER BY id LIMIT $3) AS page";
        let (count, last, active, expired, revoked) = self.one(KEYS, binds![after, now, PAGE]).await?;
        Ok(CensusPage::of(count, last, vec![active, expired, revoked]))
    }

    /// Counts grants after this id by state, see [`GRANT_STATES`].
    pub async fn count_grants(&self, now: Timestamp, after: &str) -> Result<CensusPage, Error> {
        const GRANTS: &str = "SELECT COUNT(*), MAX(id),
                    COALESCE(SUM(CASE WHEN revoked_at IS NULL AND generation > 0 AND ends > $2
                                      THEN 1 ELSE 0 END), 0),
                    COALESCE(SUM(CASE WHEN revoked_at IS NULL AND ends <= $2 THEN 1 ELSE 0 END), 0),
                    COALESCE(SUM(CASE WHEN revoked_at IS NOT NULL THEN 1 ELSE 0 END), 0),
                    COALESCE(SUM(CASE WHEN revoked_at IS NULL AND generation = 0 AND ends > $2
                                      THEN 1 ELSE 0 END), 0)
             FROM (SELECT id, generation, revoked_at,
                          CASE WHEN generation = 0 THEN code_expires_at
                               WHEN idle_expires_at < expires_at THEN idle_expires_at ELSE expires_at END AS ends
                   FROM grants WHERE id > $1 ORDER BY id LIMIT $3) AS page";
        let (count, last, active, expired, revoked, pending) = self.one(GRANTS, binds![after, now, PAGE]).await?;
        Ok(CensusPage::of(count, last, vec![active, expired, revoked, pending]))
    }
}

impl CensusPage {
    fn of(count: i64, last: Option<String>, states: Vec<i64>) -> Self {
        Self { states, next: last.filter(|_| count >= PAGE) }
    }
}
