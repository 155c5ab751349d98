//! Owns the usage of keys: how often, when and from where. Counted in memory, flushed in batches.

use std::{
    collections::HashMap,
    net::IpAddr,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use super::batch::BatchSize;
use crate::{
    meters::Count,
    model::{clock::Timestamp, error::Error, network::place, principal::Presentation, usage::Outcome},
    store::{self, KeyUse, Store},
};

/// Minimum and maximum number of keys flushed in one transaction.
const BATCH: RangeInclusive<usize> = 5..=100;
/// Maximum networks recorded for one key between two flushes; more are recorded when they are used again.
const NETWORKS_MAX: usize = 8;
/// Longest `User-Agent` stored, in characters.
const AGENT_MAX: usize = 200;
/// Maximum ended keys whose refusals are counted between two flushes.
const ENDED_MAX: usize = 1000;

/// The counts of one key since the last flush.
#[derive(Debug)]
pub struct KeyCounter {
    key_id: String,
    allowed: AtomicI64,
    denied: AtomicI64,
    limited: AtomicI64,
    last_used_at: AtomicI64,
    queued: AtomicBool,
    seen: Mutex<Seen>,
}

/// The addresses and the user agent with which a key was used.
#[derive(Debug, Default)]
struct Seen {
    address: Option<IpAddr>,
    agent: Option<Box<str>>,
    networks: Vec<IpAddr>,
}

/// The keys used since the last flush: bounded by the number of keys in memory, and for ended ones by `ENDED_MAX`.
#[derive(Debug)]
pub struct Usage {
    batch: BatchSize,
    dirty: Mutex<Vec<Arc<KeyCounter>>>,
    ended: Mutex<HashMap<String, i64>>,
    /// Refusals of ended keys that were not counted, because too many such keys were used between two flushes.
    pub dropped: Count,
}

impl Default for Usage {
    fn default() -> Self {
        let batch = BatchSize::new(*BATCH.end(), BATCH);
        Self { batch, dirty: Mutex::default(), ended: Mutex::default(), dropped: Count::default() }
    }
}

impl KeyCounter {
    fn take(&self) -> KeyUse {
        self.queued.store(false, Ordering::Release);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (allowed, limited) = (self.allowed.swap(0, Ordering::AcqRel), self.limited.swap(0, Ordering::AcqRel));
        let last_used_at = Timestamp(self.last_used_at.load(Ordering::Acquire));
        KeyUse {
            key_id: self.key_id.clone(),
            allowed,
            denied: self.denied.swap(0, Ordering::AcqRel),
            limited,
            last_used_at: (allowed + limited > 0).then_some(last_used_at),
            address: seen.address.map(|address| address.to_string()),
            agent: seen.agent.as_deref().map(ToOwned::to_owned),
            networks: std::mem::take(&mut seen.networks).into_iter().map(place).collect(),
        }
    }

    fn put_back(&self, of: &KeyUse) {
        self.allowed.fetch_add(of.allowed, Ordering::AcqRel);
        self.denied.fetch_add(of.denied, Ordering::AcqRel);
        self.limited.fetch_add(of.limited, Ordering::AcqRel);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // The current address matters most, so it is recorded again.
        let address = seen.address;
        seen.networks.extend(address);
    }
}

impl Seen {
    /// Records a use; costs one comparison if nothing has changed.
    fn note(&mut self, from: &Presentation<'_>) {
        if let Some(address) = from.address
            && self.address != Some(address)
        {
            if self.networks.len() < NETWORKS_MAX && !self.networks.contains(&address) {
                self.networks.push(address);
            }
            self.address = Some(address);
        }
        if let Some(agent) = from.agent
            && self.agent.as_deref() != Some(agent)
        {
            // A long one is compared by the part that is stored.
            let plain = agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX);
            if self.agent.as_deref().is_none_or(|known| !known.chars().eq(plain.clone())) {
                self.agent = Some(plain.collect::<String>().into_boxed_str());
            }
        }
    }
}

impl Usage {
    /// A counter for a key that was just loaded.
    pub fn counter(&self, key_id: &str) -> Arc<KeyCounter> {
        Arc::new(KeyCounter {
            key_id: key_id.to_owned(),
            allowed: AtomicI64::new(0),
            denied: AtomicI64::new(0),
            limited: AtomicI64::new(0),
            last_used_at: AtomicI64::new(0),
            queued: AtomicBool::new(false),
            seen: Mutex::default(),
        })
    }

    /// Counts one use.
    pub fn count(&self, counter: &Arc<KeyCounter>, now: Timestamp, outcome: Outcome, from: &Presentation<'_>) {
        let count = match outcome {
            Outcome::Allowed => &counter.allowed,
            Outcome::Denied => &counter.denied,
            Outcome::Limited => &counter.limited,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if outcome != Outcome::Denied {
            counter.last_used_at.fetch_max(now.0, Ordering::Relaxed);
            if from.address.is_some() || from.agent.is_some() {
                counter.seen.lock().unwrap_or_else(PoisonError::into_inner).note(from);
            }
        }
        self.queue(counter);
    }

    /// Counts one refusal of a key by its ID: revoked, expired, or used from outside its networks.
    pub fn count_rejected(&self, key_id: &str) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = ended.get_mut(key_id) {
            *count += 1;
        } else if ended.len() < ENDED_MAX {
            ended.insert(key_id.to_owned(), 1);
        } else {
            self.dropped.one();
        }
    }

    fn queue(&self, counter: &Arc<KeyCounter>) {
        if !counter.queued.swap(true, Ordering::AcqRel) {
            self.dirty.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(counter));
        }
    }

    /// Writes all counts so far. Those that cannot be written are kept for the next time.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let mut failed = self.flush_ended(store, now).await.err();
        let mut dirty = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
        // Every node locks rows in the same order, so that two flushes cannot deadlock.
        dirty.sort_unstable_by(|one, other| one.key_id.cmp(&other.key_id));
        for batch in dirty.chunks(self.batch.rows()) {
            let uses: Vec<KeyUse> = batch.iter().map(|counter| counter.take()).collect();
            if let Err(error) = store.flush_key_uses(now, uses.clone()).await {
                for (counter, of) in batch.iter().zip(&uses) {
                    counter.put_back(of);
                    self.queue(counter);
                }
                failed = Some(self.shrunk(error));
            } else {
                self.batch.grow();
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Flush fewer keys at once next time: these may have been too many for the transaction timeout.
    fn shrunk(&self, error: store::Error) -> Error {
        let error = Error::from(error);
        self.batch.failed(&error);
        error
    }

    async fn flush_ended(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<KeyUse> =
            ended.into_iter().map(|(key_id, denied)| KeyUse { key_id, denied, ..KeyUse::default() }).collect();
        uses.sort_unstable_by(|one, other| one.key_id.cmp(&other.key_id));
        let mut failed = None;
        for batch in uses.chunks(self.batch.rows()) {
            if let Err(error) = store.flush_key_uses(now, batch.to_vec()).await {
                let mut kept = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
                for of in batch {
                    *kept.entry(of.key_id.clone()).or_default() += of.denied;
                }
                failed = Some(self.shrunk(error));
            } else {
                self.batch.grow();
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
