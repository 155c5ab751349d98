//! Owns the limit on the grants of one user and client. Issuing a code only counts, in memory of fixed size; the oldest
//! grants beyond the limit are revoked in the background. Does not know how many there are; the store does.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::task::yield_now;

use crate::{
    model::{clock::Timestamp, error::Error},
    store::Store,
};

/// Counters, shared by all users and clients by a hash that outsiders cannot compute. A shared one only makes a look
/// come early, or leaves it to the one who issues most.
const COUNTERS: usize = 1 << 14;
/// A user and client are looked at after so many new grants: a divisor of 256, at which a counter wraps around.
const LOOK_AFTER: u8 = 32;
/// Most users and clients that wait for a look. Another is noticed again after as many new grants.
const DUE_MAX: usize = 1024;

/// Counts new grants and revokes those beyond the limit.
#[derive(Debug)]
pub struct GrantLimit {
    most: u32,
    counters: Box<[AtomicU8]>,
    naming: RandomState,
    due: Mutex<HashSet<(String, String)>>,
}

impl GrantLimit {
    /// Allows so many live grants of one user and client.
    pub fn new(most: u32) -> Self {
        let counters = (0..COUNTERS).map(|_| AtomicU8::new(0)).collect();
        Self { most, counters, naming: RandomState::new(), due: Mutex::default() }
    }

    /// Counts a new grant.
    pub fn count(&self, user_id: &str, client_id: &str) {
        let hash = self.naming.hash_one((user_id, client_id));
        let place = usize::try_from(hash % COUNTERS as u64).unwrap_or_default();
        if self.counters[place].fetch_add(1, Ordering::Relaxed) % LOOK_AFTER == LOOK_AFTER - 1 {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            if due.len() < DUE_MAX {
                due.insert((user_id.to_owned(), client_id.to_owned()));
            }
        }
    }

    /// Looks at the users and clients with many new grants, and revokes the oldest grants beyond the limit.
    ///
    /// # Errors
    /// `temporarily_unavailable`; what remains is done by the next call.
    pub async fn enforce(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let due = std::mem::take(&mut *self.due.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failed = Ok(());
        for (user_id, client_id) in due {
            while failed.is_ok() {
                match store.revoke_oldest_grants(now, user_id.clone(), client_id.clone(), self.most).await {
                    Ok(true) => yield_now().await,
                    Ok(false) => break,
                    Err(error) => failed = Err(error.into()),
                }
            }
            if failed.is_err() {
                self.due.lock().unwrap_or_else(PoisonError::into_inner).insert((user_id, client_id));
            }
        }
        failed
    }
}
