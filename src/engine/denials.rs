//! Owns the reasons for refused requests: recorded in memory, flushed in batches, limited per hour so that a flood
//! cannot fill the disk or hide the refusals of others.

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
/// Maximum refusals recorded per hour for credentials with an owner; the same number applies to those without one.
const NOTED_MAX: u32 = 6000;
/// Maximum of these per owner; of those without an owner, per client and per sender.
const NOTED_OF_ONE_MAX: u32 = 600;
/// Maximum of these per app, over all users whose tokens it holds.
const NOTED_OF_APP_MAX: u32 = NOTED_MAX / 2;
/// Maximum of these per credential and kind of reason, as examples: an expired token that is sent repeatedly hides no
/// other refusals of its owner.
const NOTED_ALIKE_MAX: u32 = 60;
/// Minimum and maximum number of refusals written in one transaction.
const BATCH: RangeInclusive<usize> = 10..=500;

/// Refusals since the last flush.
#[derive(Debug)]
pub struct Denials {
    owned: Mutex<Noted>,
    anonymous: Mutex<Noted>,
    batch: BatchSize,
    /// Refusals without a record, because a limit was reached.
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
    /// Hours since the epoch.
    hour: i64,
    /// Recorded within this hour, written or not.
    count: u32,
    /// The same for each name from `bounds`.
    counts: HashMap<String, u32>,
}

impl Noted {
    /// Records a refusal. False if a limit is reached.
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

/// The names under which a refusal is counted, with their limits.
fn bounds(record: &DenialRecord) -> Vec<(String, u32)> {
    let sender = record.address.parse().map_or_else(|_| record.address.clone(), sender_network);
    let whose = record.user_id.as_deref().unwrap_or(&sender);
    let credential = record.key_id.as_deref().or(record.client_id.as_deref()).unwrap_or_default();
    // Reasons begin with a keyword; times and names may follow.
    let reason = record.reason.split(' ').next().unwrap_or_default();
    let mut bounds =
        vec![(format!("{whose} {credential} {reason}"), NOTED_ALIKE_MAX), (format!("{whose} "), NOTED_OF_ONE_MAX)];
    // Few users of an app must not use up what is recorded for its others, nor all of them what is for other apps.
    let most = if record.user_id.is_some() { NOTED_OF_APP_MAX } else { NOTED_OF_ONE_MAX };
    bounds.extend(record.client_id.as_ref().map(|client| (client.clone(), most)));
    bounds
}

impl Denials {
    /// Records a refusal, unless a limit of this hour is reached.
    pub fn note(&self, record: DenialRecord) {
        let noted = if record.user_id.is_some() { &self.owned } else { &self.anonymous };
        self.push(&mut noted.lock().unwrap_or_else(PoisonError::into_inner), record);
    }

    fn push(&self, noted: &mut Noted, record: DenialRecord) {
        if !noted.note(record) {
            self.dropped.one();
        }
    }

    /// Writes the recorded refusals. Those that cannot be written are kept for the next time.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let mut failed = None;
        for list in [&self.owned, &self.anonymous] {
            let mut records = std::mem::take(&mut list.lock().unwrap_or_else(PoisonError::into_inner).records);
            while !records.is_empty() {
                let batch = records[..records.len().min(self.batch.rows())].to_vec();
                let written = batch.len();
                if let Err(error) = store.insert_denials(now, batch).await {
                    let error = Error::from(error);
                    // Write fewer at once next time: these may have been too many for the transaction timeout.
                    self.batch.failed(&error);
                    failed = Some(error);
                    let mut kept = list.lock().unwrap_or_else(PoisonError::into_inner);
                    records.append(&mut kept.records);
                    // While writes fail, keep no more than one hour's limit.
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

    /// A user's newest refusals, including those not yet written; at most `most`.
    pub async fn newest(&self, store: &Store, user_id: &str, most: usize) -> Result<Vec<DenialRecord>, Error> {
        let mut found: Vec<DenialRecord> = {
            let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
            owned.records.iter().rev().filter(|record| record.user_id.as_deref() == Some(user_id)).cloned().collect()
        };
        found.extend(store.denials_of_user(user_id, None).await?);
        found.truncate(most);
        Ok(found)
    }

    /// Refusals of a request, including those not yet written; with `user_id`, only that user's. At most 20.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(user_id: Option<&str>, sender: u8, reason: u32) -> DenialRecord {
        DenialRecord {
            request_id: String::new(),
            at: Timestamp(0),
            status: 401,
            reason: format!("reason{reason}"),
            kind: None,
            asked: crate::model::denial::DeniedRequest::default(),
            api: None,
            key_id: None,
            user_id: user_id.map(ToOwned::to_owned),
            client_id: Some("client_app".to_owned()),
            address: format!("192.0.2.{sender}"),
        }
    }

    #[test]
    fn some_users_of_an_app_hide_no_refusals_of_its_others() {
        let mut noted = Noted::default();
        for user in ["user_a", "user_b"] {
            let recorded = (0..2000).filter(|n| noted.note(refusal(Some(user), 1, n % 20))).count();
            assert_eq!(recorded, 600, "{user}");
        }
        assert!(noted.note(refusal(Some("user_c"), 1, 0)));
    }

    #[test]
    fn the_tokens_of_one_app_without_a_user_fill_a_part_alone() {
        let mut noted = Noted::default();
        let recorded = (0..20_000).filter(|n| noted.note(refusal(None, (n % 100) as u8, n % 20))).count();
        assert_eq!(recorded, 600);
    }
}
