//! Owns the stored usage of keys: hourly counts, networks, last use, and detecting unusual use.

use std::{
    collections::{BTreeMap, HashMap, HashSet, btree_map::Entry},
    time::Duration,
};

use super::{
    Error, Store,
    row::{binds, record},
    tx::{Tx, transaction},
};
use crate::model::{
    audit::{Event, Origin},
    clock::Timestamp,
    usage::{HourUsage, hour},
};

/// Networks kept per key: the newest.
const NETWORKS_MAX: i64 = 50;
/// Most hours read for one key: those of 400 days.
const HOURS_MAX: i64 = 9600;
/// Keys of one user included in the total: the newest.
const KEYS_SUMMED: i64 = 5000;
/// Use after this long without use is reported.
const SLEEP: Duration = Duration::from_hours(60 * 24);
/// An hour is unusual if it has at least this many requests …
const SPIKE_LEAST: i64 = 100;
/// … and this many times the mean of the key's busy hours in a week, of which there must be some.
const SPIKE_TIMES: i64 = 5;
const SPIKE_HOURS_LEAST: i64 = 3;
const WEEK: Duration = Duration::from_hours(7 * 24);

/// Use of one key since the last flush.
#[derive(Clone, Debug, Default)]
pub struct KeyUse {
    /// `key_…`.
    pub key_id: String,
    /// Accepted requests.
    pub allowed: i64,
    /// Requests refused because of the key's state or permissions.
    pub denied: i64,
    /// Requests refused by a rate limit.
    pub limited: i64,
    /// When it was last accepted; `None` if it was not.
    pub last_used_at: Option<Timestamp>,
    /// From which address, if known.
    pub address: Option<String>,
    /// With which `User-Agent`.
    pub agent: Option<String>,
    /// Networks it was accepted from, as returned by `model::network::place`.
    pub networks: Vec<String>,
}

impl KeyUse {
    /// Adds what the same key did beside this.
    fn add(&mut self, other: Self) {
        self.allowed += other.allowed;
        self.denied += other.denied;
        self.limited += other.limited;
        if other.last_used_at > self.last_used_at {
            self.last_used_at = other.last_used_at;
            self.address = other.address.or(self.address.take());
            self.agent = other.agent.or(self.agent.take());
        }
        let new = other.networks.into_iter().filter(|network| !self.networks.contains(network));
        let new: Vec<String> = new.collect();
        self.networks.extend(new);
    }
}

record! {
    hour_columns: HourUsage { hour: "hour", allowed: "allowed", denied: "denied", limited: "limited" }
}

const KNOWN: &str = "SELECT k.id, k.uses, k.last_used_at, k.user_id
                     FROM api_keys k JOIN (VALUES ($1)) AS v ON k.id = v.column1";
const USED: &str = "
    UPDATE api_keys SET uses = uses + v.column2,
        last_used_at = CASE WHEN last_used_at > v.column3 THEN last_used_at ELSE v.column3 END,
        last_address = COALESCE(v.column4, last_address), last_agent = COALESCE(v.column5, last_agent)
    FROM (VALUES ($1, $2, $3, $4, $5)) AS v WHERE api_keys.id = v.column1";
const ADD_HOUR: &str = "
    INSERT INTO key_usage (key_id, hour, allowed, denied, limited) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (key_id, hour) DO UPDATE SET allowed = key_usage.allowed + excluded.allowed,
        denied = key_usage.denied + excluded.denied, limited = key_usage.limited + excluded.limited
    RETURNING key_id, allowed + denied + limited";
const OWN_WEEK: &str = "
    SELECT u.key_id, COUNT(*), CAST(SUM(u.allowed + u.denied + u.limited) AS BIGINT)
    FROM key_usage u JOIN (VALUES ($1, $2, $3)) AS v ON u.key_id = v.column1
    WHERE u.hour >= v.column2 AND u.hour < v.column3 GROUP BY u.key_id";
const KNOWN_NETWORKS: &str = "SELECT n.key_id, COUNT(*) FROM key_networks n JOIN (VALUES ($1)) AS v
                              ON n.key_id = v.column1 GROUP BY n.key_id";
const ADD_NETWORK: &str = "INSERT INTO key_networks (key_id, network, first_seen) VALUES ($1, $2, $3)
                           ON CONFLICT (key_id, network) DO NOTHING RETURNING key_id, network";
const FORGET_OLDEST: &str = "
    DELETE FROM key_networks WHERE key_id = $1 AND network IN
        (SELECT network FROM key_networks WHERE key_id = $1 ORDER BY first_seen DESC, network DESC LIMIT $3 OFFSET $2)";

/// One use for each key, in the order of the keys: a row that stands twice in one statement is refused by PostgreSQL.
fn by_key(uses: Vec<KeyUse>) -> Vec<KeyUse> {
    let mut keys: BTreeMap<String, KeyUse> = BTreeMap::new();
    for of in uses.into_iter().filter(|of| of.allowed + of.denied + of.limited > 0) {
        match keys.entry(of.key_id.clone()) {
            Entry::Vacant(vacant) => drop(vacant.insert(of)),
            Entry::Occupied(mut occupied) => occupied.get_mut().add(of),
        }
    }
    keys.into_values().collect()
}

/// State of a key before its use is added.
type Before = (i64, Option<Timestamp>, String);

impl Tx {
    async fn flush_key_uses(&mut self, now: Timestamp, uses: &[KeyUse]) -> Result<(), Error> {
        let ids: Vec<_> = uses.iter().map(|of| binds![&of.key_id].to_vec()).collect();
        let known: Vec<(String, i64, Option<Timestamp>, String)> = self.list_each(KNOWN, &ids).await?;
        let known: HashMap<String, Before> =
            known.into_iter().map(|(id, uses, last, user)| (id, (uses, last, user))).collect();
        let uses: Vec<(&KeyUse, &Before)> = uses.iter().filter_map(|of| Some((of, known.get(&of.key_id)?))).collect();
        // First, since this locks the rows in key order: two nodes that flush the same keys wait for each other here,
        // and cannot deadlock below.
        let spikes = self.add_hours(now, &uses).await?;
        let used = uses.iter().filter_map(|(of, _)| {
            let at = of.last_used_at?;
            Some(binds![&of.key_id, of.allowed + of.limited, at, &of.address, &of.agent].to_vec())
        });
        let used: Vec<_> = used.collect();
        self.execute_each(USED, &used).await?;
        let mut places = self.new_networks(now, &uses).await?;
        let mut entries = Vec::new();
        for (of, (total, last_used_at, user_id)) in uses {
            let address = of.address.as_deref().unwrap_or_default();
            let mut events = Vec::new();
            if of.last_used_at.is_some() && *total == 0 {
                events.push(("key.first_use", address));
            }
            if last_used_at.zip(of.last_used_at).is_some_and(|(last, at)| last + SLEEP < at) {
                events.push(("key.long_sleep", address));
            }
            if spikes.contains(&of.key_id) {
                events.push(("key.spike", address));
            }
            let places = places.remove(&of.key_id).unwrap_or_default();
            events.extend(places.iter().map(|network| ("key.new_network", network.as_str())));
            for (event, address) in events {
                let origin = Origin { address: address.to_owned(), ..Origin::system() };
                entries.push((origin, Event::new(event).user(user_id).object(&of.key_id)));
            }
        }
        self.audit_each(now, &entries).await
    }

    /// Adds to the hour's counts. Returns the keys for which the hour now exceeds the mean of their own week by far.
    async fn add_hours(&mut self, now: Timestamp, uses: &[(&KeyUse, &Before)]) -> Result<HashSet<String>, Error> {
        let hour = hour(now);
        let row = |of: &KeyUse| binds![hour, of.allowed, of.denied, of.limited].to_vec();
        let rows: Vec<_> = uses.iter().map(|(of, _)| [binds![&of.key_id].to_vec(), row(of)].concat()).collect();
        let after: Vec<(String, i64)> = self.list_each(ADD_HOUR, &rows).await?;
        let after: HashMap<String, i64> = after.into_iter().filter(|(_, after)| *after >= SPIKE_LEAST).collect();
        let week = now - WEEK;
        let busy: Vec<_> = after.keys().map(|id| binds![id, week, hour].to_vec()).collect();
        let weeks: Vec<(String, i64, i64)> = self.list_each(OWN_WEEK, &busy).await?;
        let mut spikes = HashSet::new();
        for (key_id, hours, total) in weeks {
            let now =
                uses.iter().find(|(of, _)| of.key_id == key_id).map(|(of, _)| of.allowed + of.denied + of.limited);
            let after = after.get(&key_id).copied().unwrap_or_default();
            let (before, most) =
                (after - now.unwrap_or_default(), (SPIKE_TIMES * total / hours.max(1)).max(SPIKE_LEAST));
            // Once an hour: only the flush that crosses the threshold reports it.
            if hours >= SPIKE_HOURS_LEAST && before < most && after >= most {
                spikes.insert(key_id);
            }
        }
        Ok(spikes)
    }

    /// Stores networks. Returns those that are new for a key that was used from elsewhere before.
    async fn new_networks(
        &mut self,
        now: Timestamp,
        uses: &[(&KeyUse, &Before)],
    ) -> Result<HashMap<String, Vec<String>>, Error> {
        let seen = || uses.iter().filter(|(of, _)| !of.networks.is_empty()).map(|(of, _)| *of);
        let ids: Vec<_> = seen().map(|of| binds![&of.key_id].to_vec()).collect();
        let known: Vec<(String, i64)> = self.list_each(KNOWN_NETWORKS, &ids).await?;
        let known: HashMap<String, i64> = known.into_iter().collect();
        let rows: Vec<_> =
            seen().flat_map(|of| of.networks.iter().map(|network| binds![&of.key_id, network, now].to_vec())).collect();
        let mut new: HashMap<String, Vec<String>> = HashMap::new();
        for (key_id, network) in self.list_each::<(String, String)>(ADD_NETWORK, &rows).await? {
            new.entry(key_id).or_default().push(network);
        }
        for (key_id, networks) in &mut new {
            let known = known.get(key_id).copied().unwrap_or_default();
            if known + i64::try_from(networks.len()).unwrap_or(i64::MAX) > NETWORKS_MAX {
                self.execute(FORGET_OLDEST, binds![key_id, NETWORKS_MAX, NETWORKS_MAX]).await?;
            }
            // The first network of a key is not reported.
            if known == 0 {
                networks.remove(0);
            }
        }
        Ok(new)
    }
}

impl Store {
    /// Writes counted uses in one batch. Each unusual use (first use, new network, spike, use after a long pause) is an
    /// audit event of its own. After an error the caller keeps its counts.
    pub async fn flush_key_uses(&self, now: Timestamp, uses: Vec<KeyUse>) -> Result<(), Error> {
        transaction!(self, now, |tx| tx.flush_key_uses(now, &by_key(uses)).await)
    }

    /// A key's hourly counts since `from`, oldest first.
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

    /// The hourly counts of a user's newest 5,000 keys combined, from `from` until before `to`, oldest first.
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

    /// The networks a key was used from, newest first, with the time each was first seen.
    pub async fn key_networks(&self, key_id: &str) -> Result<Vec<(String, Timestamp)>, Error> {
        self.list(
            "SELECT network, first_seen FROM key_networks WHERE key_id = $1
                 ORDER BY first_seen DESC, network LIMIT $2",
            binds![key_id, NETWORKS_MAX],
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_key_did_is_added_up_and_what_did_nothing_left_out() {
        let used = |key: &str, allowed, at: Option<i64>, networks: &[&str]| KeyUse {
            key_id: key.to_owned(),
            allowed,
            last_used_at: at.map(Timestamp),
            address: at.map(|at| format!("192.0.2.{at}")),
            networks: networks.iter().map(|network| (*network).to_owned()).collect(),
            ..KeyUse::default()
        };
        let refused = KeyUse { denied: 2, limited: 1, ..used("b", 0, None, &[]) };
        let uses = vec![
            used("b", 3, Some(7), &["192.0.2.0/24"]),
            used("a", 1, Some(5), &[]),
            used("c", 0, None, &[]),
            refused,
            used("b", 1, Some(6), &["192.0.2.0/24", "198.51.100.0/24"]),
        ];
        let [a, b] = &by_key(uses)[..] else { unreachable!("two keys were used") };
        assert_eq!((a.key_id.as_str(), a.allowed, b.key_id.as_str()), ("a", 1, "b"), "in the order of keys");
        assert_eq!((b.allowed, b.denied, b.limited), (4, 2, 1));
        assert_eq!(
            (b.last_used_at, b.address.as_deref()),
            (Some(Timestamp(7)), Some("192.0.2.7")),
            "of the latest use"
        );
        assert_eq!(b.networks, ["192.0.2.0/24", "198.51.100.0/24"], "each once");
    }
}
