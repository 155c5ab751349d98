//! Owns why requests were refused: noted in memory, flushed in batches, bounded so that a flood fills no disk. Does not
//! decide who may read it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
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
}

#[derive(Debug, Default)]
struct Noted {
    records: Vec<DenialRecord>,
    /// How many, by whose they are.
    counts: HashMap<String, u32>,
}

impl Noted {
    fn note(&mut self, record: DenialRecord) {
        if self.records.len() >= NOTED_MAX {
            return;
        }
        let count = self.counts.entry(whose(&record).to_owned()).or_default();
        if *count < NOTED_OF_ONE_MAX {
            *count += 1;
            self.records.push(record);
        }
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
        noted.lock().unwrap_or_else(PoisonError::into_inner).note(record);
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
                records.into_iter().chain(since.records).for_each(|record| kept.note(record));
                failed = Some(error.into());
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// A user's newest refusals, also those not yet written; at most `most`.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
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
