//! Owns why requests were refused: noted in memory, flushed in batches, bounded so that a flood fills no disk. Does not
//! decide who may read it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    meters::Count,
    model::{clock::Timestamp, denial::DenialRecord, error::Error},
    store::Store,
};

/// Refusals kept between two flushes whose credential somebody owns, and as many of nobody's.
const NOTED_MAX: usize = 500;
/// Of them, those of one owner, or of one sender where nobody owns what it sent: no noisy script hides those of others.
const NOTED_OF_ONE_MAX: u32 = 20;

/// Refusals since the last flush.
#[derive(Debug, Default)]
pub struct Denials {
    owned: Mutex<Noted>,
    anonymous: Mutex<Noted>,
    /// Refusals of which no record is kept: more than fit between two flushes.
    pub dropped: Count,
}

#[derive(Debug, Default)]
struct Noted {
    records: Vec<DenialRecord>,
    /// How many, by whose they are.
    counts: HashMap<String, u32>,
}

impl Noted {
    /// Whether there was room for it.
    fn note(&mut self, record: DenialRecord) -> bool {
        if self.records.len() >= NOTED_MAX {
            return false;
        }
        let count = self.counts.entry(whose(&record).to_owned()).or_default();
        let has_room = *count < NOTED_OF_ONE_MAX;
        if has_room {
            *count += 1;
            self.records.push(record);
        }
        has_room
    }
}

/// Who is behind a refusal, as far as that is known.
fn whose(record: &DenialRecord) -> &str {
    record.user_id.as_deref().or(record.client_id.as_deref()).unwrap_or(&record.address)
}

impl Denials {
    /// Notes one; of more than fit between two flushes, the first are kept.
    pub fn note(&self, record: DenialRecord) {
        let noted = if record.user_id.is_some() { &self.owned } else { &self.anonymous };
        self.keep(&mut noted.lock().unwrap_or_else(PoisonError::into_inner), record);
    }

    fn keep(&self, noted: &mut Noted, record: DenialRecord) {
        if !noted.note(record) {
            self.dropped.one();
        }
    }

    /// Writes what was noted. What cannot be written is kept for the next time.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let mut failed = None;
        for list in [&self.owned, &self.anonymous] {
            let Noted { records, .. } = std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner));
            if records.is_empty() {
                continue;
            }
            if let Err(error) = store.insert_denials(now, records.clone()).await {
                let mut kept = list.lock().unwrap_or_else(PoisonError::into_inner);
                let since = std::mem::take(&mut *kept);
                records.into_iter().chain(since.records).for_each(|record| self.keep(&mut kept, record));
                failed = Some(error.into());
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Refusals of a request, also those not yet written: with `user_id`, only that user's. At most 20.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
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
