//! Owns why requests were refused: noted in memory, flushed in batches, bounded so that a flood fills no disk. Does not
//! decide who may read it.

use std::sync::{Mutex, PoisonError};

use crate::{
    model::{clock::Timestamp, denial::DenialRecord, error::Error},
    store::Store,
};

/// Refusals kept between two flushes whose credential somebody owns, and as many of nobody's.
const NOTED_MAX: usize = 500;

/// Refusals since the last flush.
#[derive(Debug, Default)]
pub struct Denials {
    owned: Mutex<Vec<DenialRecord>>,
    anonymous: Mutex<Vec<DenialRecord>>,
}

impl Denials {
    /// Notes one; of more than fit between two flushes, the first are kept.
    pub fn note(&self, record: DenialRecord) {
        let list = if record.user_id.is_some() { &self.owned } else { &self.anonymous };
        let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() < NOTED_MAX {
            list.push(record);
        }
    }

    /// Writes what was noted. What cannot be written is kept for the next time.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        for list in [&self.owned, &self.anonymous] {
            let noted = std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner));
            if noted.is_empty() {
                continue;
            }
            if let Err(error) = store.insert_denials(now, noted.clone()).await {
                let mut kept = list.lock().unwrap_or_else(PoisonError::into_inner);
                kept.splice(0..0, noted);
                kept.truncate(NOTED_MAX);
                return Err(error.into());
            }
        }
        Ok(())
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
            found.extend(list.iter().filter(is_theirs).cloned());
        }
        found.extend(store.denials_of_request(request_id, user_id).await?);
        found.truncate(20);
        Ok(found)
    }
}
