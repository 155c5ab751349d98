//! Owns what is kept of keys' use: counts by hour, networks, last use, and what stands out among them.

use super::{
    Error, Store,
    row::{binds, record},
    tx::Tx,
};
use crate::model::{
    audit::{Event, Origin},
    clock::Timestamp,
    usage::{HourUsage, hour},
};

/// Networks remembered of one key: the newest.
const NETWORKS_MAX: i64 = 50;
/// Hours read of one key at most: those of 400 days.
const HOURS_MAX: i64 = 9600;
/// Keys of one user whose counts are added up: the newest.
const KEYS_SUMMED: i64 = 5000;
/// Unused for this long is long, in seconds: 60 days.
const SLEEP_SECONDS: i64 = 60 * 86_400;
/// An hour stands out when it has at least this many requests …
const SPIKE_LEAST: i64 = 100;
/// … and this many times the mean of the key's busy hours in a week, of which there must be some.
const SPIKE_TIMES: i64 = 5;
const SPIKE_HOURS_LEAST: i64 = 3;
const WEEK_SECONDS: i64 = 7 * 86_400;

/// What one key did since the last flush.
#[derive(Clone, Debug, Default)]
pub struct KeyUse {
    /// `key_…`.
    pub key_id: String,
    /// Requests that passed.
    pub allowed: i64,
    /// Requests refused for what the key is or may do.
    pub denied: i64,
    /// Requests refused as too many.
    pub limited: i64,
    /// When it was last accepted; nothing if it was not.
    pub last_used_at: Option<Timestamp>,
    /// From which address, as far as it was told.
    pub address: Option<String>,
    /// By which `User-Agent`.
    pub agent: Option<String>,
    /// Places it was accepted from, as `model::network::place` has them.
    pub networks: Vec<String>,
}

record! {
    hour_columns: HourUsage { hour: "hour", allowed: "allowed", denied: "denied", limited: "limited" }
}

impl Tx {
    async fn flush_key_use(&mut self, now: Timestamp, of: &KeyUse) -> Result<(), Error> {
        let sql = "SELECT uses, last_used_at, user_id FROM api_keys WHERE id = $1";
        let before: Option<(i64, Option<Timestamp>, String)> = self.find(sql, binds![&of.key_id]).await?;
        let Some((uses, last_used_at, user_id)) = before else { return Ok(()) };
        let address = of.address.clone().unwrap_or_default();
        let stands_out = |event: &'static str, address: &str| {
            let origin = Origin { actor: "system".to_owned(), address: address.to_owned(), ..Origin::default() };
            (origin, Event::new(event).user(&user_id).object(&of.key_id))
        };
        let mut events = Vec::new();
        if let Some(at) = of.last_used_at {
            self.execute(
                "UPDATE api_keys SET uses = uses + $2,
                 last_used_at = CASE WHEN last_used_at > $3 THEN last_used_at ELSE $3 END,
                        last_address = COALESCE($4, last_address), last_agent = COALESCE($5, last_agent)
                 WHERE id = $1",
                binds![&of.key_id, of.allowed + of.limited, at, &of.address, &of.agent],
            )
            .await?;
            if uses == 0 {
                events.push(stands_out("key.first_use", &address));
            }
            if last_used_at.is_some_and(|last| last.plus_seconds(SLEEP_SECONDS) < at) {
                events.push(stands_out("key.long_sleep", &address));
            }
        }
        if self.add_hour(now, of).await? {
            events.push(stands_out("key.spike", &address));
        }
        for network in &of.networks {
            if self.is_new_network(now, &of.key_id, network).await? {
                events.push(stands_out("key.new_network", network));
            }
        }
        for (origin, event) in events {
            self.audit(now, &origin, event).await?;
        }
        Ok(())
    }

    /// Adds to the hour's counts; true when this makes the hour stand out against the key's own week.
    async fn add_hour(&mut self, now: Timestamp, of: &KeyUse) -> Result<bool, Error> {
        let after: i64 = self
            .one(
                "INSERT INTO key_usage (key_id, hour, allowed, denied, limited) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (key_id, hour) DO UPDATE SET allowed = key_usage.allowed + excluded.allowed,
                     denied = key_usage.denied + excluded.denied, limited = key_usage.limited + excluded.limited
                 RETURNING allowed + denied + limited",
                binds![&of.key_id, hour(now), of.allowed, of.denied, of.limited],
            )
            .await?;
        let before = after - of.allowed - of.denied - of.limited;
        if after < SPIKE_LEAST {
            return Ok(false);
        }
        let (hours, total): (i64, i64) = self
            .one(
                "SELECT COUNT(*), CAST(COALESCE(SUM(allowed + denied + limited), 0) AS BIGINT) FROM key_usage
                 WHERE key_id = $1 AND hour >= $2 AND hour < $3",
                binds![&of.key_id, now.plus_seconds(-WEEK_SECONDS), hour(now)],
            )
            .await?;
        let most = (SPIKE_TIMES * total / hours.max(1)).max(SPIKE_LEAST);
        // Once an hour: the flush that crosses the line says so, the next ones do not.
        Ok(hours >= SPIKE_HOURS_LEAST && before < most && after >= most)
    }

    /// Remembers a network; true when the key was used before, and never from there.
    async fn is_new_network(&mut self, now: Timestamp, key_id: &str, network: &str) -> Result<bool, Error> {
        let known: i64 = self.one("SELECT COUNT(*) FROM key_networks WHERE key_id = $1", binds![key_id]).await?;
        let new = self
            .execute(
                "INSERT INTO key_networks (key_id, network, first_seen) VALUES ($1, $2, $3)
                 ON CONFLICT (key_id, network) DO NOTHING",
                binds![key_id, network, now],
            )
            .await?;
        if new > 0 && known >= NETWORKS_MAX {
            self.execute(
                "DELETE FROM key_networks WHERE key_id = $1 AND network IN
                 (SELECT network FROM key_networks WHERE key_id = $1 ORDER BY first_seen, network LIMIT 1)",
                binds![key_id],
            )
            .await?;
        }
        Ok(new > 0 && known > 0)
    }
}

impl Store {
    /// Writes counted uses in one batch. What stands out (a first use, a new network, a spike, use after a long sleep) is an
    /// audit event of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the caller keeps its counts.
    pub async fn flush_key_uses(&self, now: Timestamp, uses: Vec<KeyUse>) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                for of in &uses {
                    if of.allowed + of.denied + of.limited > 0 {
                        tx.flush_key_use(now, of).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }

    /// A key's counts by hour since `from`, oldest first.
    pub async fn key_usage(&self, key_id: &str, from: Timestamp) -> Result<Vec<HourUsage>, Error> {
        self.list(
            concat!(
                "SELECT ",
                hour_columns!(),
                " FROM key_usage WHERE key_id = $1 AND hour >= $2 ORDER BY hour LIMIT $3"
            ),
            binds![key_id, from, HOURS_MAX],
        )
        .await
    }

    /// The counts by hour of a user's newest 5,000 keys together, from `from` until before `to`, oldest first.
    pub async fn user_usage(&self, user_id: &str, from: Timestamp, to: Timestamp) -> Result<Vec<HourUsage>, Error> {
        self.list(
            "SELECT u.hour, CAST(SUM(u.allowed) AS BIGINT), CAST(SUM(u.denied) AS BIGINT),
                 CAST(SUM(u.limited) AS BIGINT)
                 FROM (SELECT id FROM api_keys WHERE user_id = $1 ORDER BY created_at DESC LIMIT $5) AS k
                 JOIN key_usage u ON u.key_id = k.id WHERE u.hour >= $2 AND u.hour < $3 GROUP BY u.hour
                 ORDER BY u.hour LIMIT $4",
            binds![user_id, from, to, HOURS_MAX, KEYS_SUMMED],
        )
        .await
    }

    /// The networks a key was used from, newest first, with when each was first seen.
    pub async fn key_networks(&self, key_id: &str) -> Result<Vec<(String, Timestamp)>, Error> {
        self.list(
            "SELECT network, first_seen FROM key_networks WHERE key_id = $1
                 ORDER BY first_seen DESC, network LIMIT $2",
            binds![key_id, NETWORKS_MAX],
        )
        .await
    }
}
