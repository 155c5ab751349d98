//! Owns why requests were refused: noted in memory, flushed in batches, bounded by the hour so that a flood fills no
//! disk and hides nobody's.

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
};

use super::batch::BatchSize;
use crate::{
    meters::Count,
    model::{clock::Timestamp, denial::DenialRecord, error::Error, network::sender_network},
    store::Store,
};

const HOUR_SECONDS: i64 = 3600;
/// Most refusals kept of one hour whose credential has an owner; and as many without an owner.
const NOTED_MAX: u32 = 6000;
/// Most of them of one owner, of one app's tokens, and of one sender whose credential has no owner.
const NOTED_OF_ONE_MAX: u32 = 600;
/// Of them, those of one credential for one kind of reason: examples. Whoever sends an expired token again and again hides
/// nothing else that happens to its owner.
const NOTED_ALIKE_MAX: u32 = 60;
/// Refusals written in one transaction, at least and at most.
const BATCH: RangeInclusive<usize> = 10..=500;

/// Refusals since the last flush.
#[derive(Debug)]
pub struct Denials {
    owned: Mutex<Noted>,
    anonymous: Mutex<Noted>,
    batch: BatchSize,
    /// Refusals of which no record is kept: more than fit between two flushes.
    pub dropped: Count,
}

impl Default for Denials {
    fn default() -> Self {
        Self {
            owned: Mutex::default(),
            anonymous: Mutex::default(),
            batch: BatchSize::new(*BATCH.end(), BATCH),
            dropped: Count::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Noted {
    /// Not yet written.
    records: Vec<DenialRecord>,
    /// Since the epoch.
    hour: i64,
    /// Noted within this hour, written or not.
    count: u32,
    /// The same by owner, and by kind.
    counts: HashMap<String, u32>,
}

impl Noted {
    /// Whether there was room for it.
    fn note(&mut self, record: DenialRecord) -> bool {
        let hour = record.at.seconds().div_euclid(HOUR_SECONDS);
        if hour != self.hour {
            (self.hour, self.count) = (hour, 0);
            self.counts.clear();
        }
        let bounds = bounds(&record);
        let is_full = |(name, most): &(String, u32)| self.counts.get(name).is_some_and(|count| count >= most);
        if self.count >= NOTED_MAX || bounds.iter().any(is_full) {
            return false;
        }
        self.count += 1;
        for (name, _) in bounds {
            *self.counts.entry(name).or_default() += 1;
        }
        self.records.push(record);
        true
    }
}

/// What a refusal is counted under, and how often it may be.
fn bounds(record: &DenialRecord) -> Vec<(String, u32)> {
    let sender = record.address.parse().map_or_else(|_| record.address.clone(), sender_network);
    let whose = record.user_id.as_deref().unwrap_or(&sender);
    let credential = record.key_id.as_deref().or(record.client_id.as_deref()).unwrap_or_default();
    // Reasons end in times and names; they begin with what happened.
    let reason = record.reason.split(' ').next().unwrap_or_default();
    let mut bounds =
        vec![(format!("{whose} {credential} {reason}"), NOTED_ALIKE_MAX), (format!("{whose} "), NOTED_OF_ONE_MAX)];
    bounds.extend(record.client_id.as_ref().map(|client| (client.clone(), NOTED_OF_ONE_MAX)));
    bounds
}

impl Denials {
    /// Notes one; of more than fit into an hour, the first are kept.
    pub fn note(&self, record: DenialRecord) {
        let noted = if record.user_id.is_some() { &self.owned } else { &self.anonymous };
        self.push(&mut noted.lock().unwrap_or_else(PoisonError::into_inner), record);
    }

    fn push(&self, noted: &mut Noted, record: DenialRecord) {
        if !noted.note(record) {
            self.dropped.one();
        }
    }

    /// Writes what was noted. What cannot be written is kept for the next time.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let mut failed = None;
        for list in [&self.owned, &self.anonymous] {
            let mut records = std::mem::take(&mut list.lock().unwrap_or_else(PoisonError::into_inner).records);
            while !records.is_empty() {
                let batch = records[..records.len().min(self.batch.rows())].to_vec();
                let written = batch.len();
                if let Err(error) = store.insert_denials(now, batch).await {
                    let error = Error::from(error);
                    // Next time fewer at once: they may have been too many for the time a transaction has.
                    self.batch.failed(&error);
                    failed = Some(error);
                    let mut kept = list.lock().unwrap_or_else(PoisonError::into_inner);
                    records.append(&mut kept.records);
                    // While nothing can be written, no more than an hour's.
                    let most = usize::try_from(NOTED_MAX).unwrap_or_default();
                    (most..records.len()).for_each(|_| self.dropped.one());
                    records.truncate(most);
                    kept.records = std::mem::take(&mut records);
                    break;
                }
                records.drain(..written);
                self.batch.grow();
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// A user's newest refusals, also those not yet written; at most `most`.
    pub async fn newest(&self, store: &Store, user_id: &str, most: usize) -> Result<Vec<DenialRecord>, Error> {
        let mut found: Vec<DenialRecord> = {
            let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
            owned.records.iter().rev().filter(|record| record.user_id.as_deref() == Some(user_id)).cloned().collect()
        };
        found.extend(store.denials_of_user(user_id, None).await?);
        found.truncate(most);
        Ok(found)
    }

    /// Refusals of a request, also those not yet written: with `user_id`, only that user's. At most 20.
    pub async fn of_request(
        &self,
        store: &Store,
        request_id: &str,
        user_id: Option<&str>,
    ) -> Result<Vec<DenialRecord>, Error> {
        let mut found = Vec::new();
        for list in [&self.owned, &self.anonymous] {
            let list = list.lock().unwrap_or_else(PoisonError::into_inner);
            let is_theirs = |record: &&DenialRecord| {
                record.request_id == request_id && user_id.is_none_or(|id| record.user_id.as_deref() == Some(id))
            };
            found.extend(list.records.iter().filter(is_theirs).cloned());
        }
        found.extend(store.denials_of_request(request_id, user_id).await?);
        found.truncate(20);
        Ok(found)
    }
}
