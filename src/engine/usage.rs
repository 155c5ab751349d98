//! Owns how often and when keys were accepted: counted in memory, flushed in batches. Does not limit anything.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use crate::{
    model::{clock::Timestamp, error::Error},
    store::{KeyUse, Store},
};

/// Keys flushed in one transaction.
const BATCH: usize = 100;

/// The counts of one key since the last flush.
#[derive(Debug)]
pub struct KeyCounter {
    key_id: String,
    times: AtomicI64,
    last_used_at: AtomicI64,
    queued: AtomicBool,
}

/// The keys used since the last flush: bounded by the keys in memory.
#[derive(Debug, Default)]
pub struct Usage {
    dirty: Mutex<Vec<Arc<KeyCounter>>>,
}

impl Usage {
    /// A counter for a key that was just read.
    #[must_use]
    pub fn counter(&self, key_id: &str) -> Arc<KeyCounter> {
        Arc::new(KeyCounter {
            key_id: key_id.to_owned(),
            times: AtomicI64::new(0),
            last_used_at: AtomicI64::new(0),
            queued: AtomicBool::new(false),
        })
    }

    /// Counts one use.
    pub fn count(&self, counter: &Arc<KeyCounter>, now: Timestamp) {
        counter.times.fetch_add(1, Ordering::Relaxed);
        counter.last_used_at.fetch_max(now.0, Ordering::Relaxed);
        if !counter.queued.swap(true, Ordering::AcqRel) {
            self.dirty.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(counter));
        }
    }

    /// Writes everything counted so far. What cannot be written is kept for the next time.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let mut dirty = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
        // Rows are locked in one order by every node, so that two flushes cannot wait for each other.
        dirty.sort_unstable_by(|one, other| one.key_id.cmp(&other.key_id));
        let mut failed = None;
        for batch in dirty.chunks(BATCH) {
            let uses: Vec<KeyUse> = batch
                .iter()
                .map(|counter| {
                    counter.queued.store(false, Ordering::Release);
                    let times = counter.times.swap(0, Ordering::AcqRel);
                    KeyUse {
                        key_id: counter.key_id.clone(),
                        times,
                        last_used_at: Timestamp(counter.last_used_at.load(Ordering::Acquire)),
                    }
                })
                .collect();
            let counts: Vec<i64> = uses.iter().map(|usage| usage.times).collect();
            if let Err(error) = store.flush_key_uses(now, uses).await {
                self.keep(batch, &counts);
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn keep(&self, batch: &[Arc<KeyCounter>], counts: &[i64]) {
        for (counter, times) in batch.iter().zip(counts) {
            counter.times.fetch_add(*times, Ordering::AcqRel);
            if !counter.queued.swap(true, Ordering::AcqRel) {
                self.dirty.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(counter));
            }
        }
    }
}
