//! Owns the number of keys and grants in each state: counted in the background, a bounded part of the table per minute.
//!
//! A lap reads a table in pages of a thousand rows. With up to forty thousand rows, it completes every minute and is
//! exact; with ten million, it takes four hours. Totals are those of the last complete lap.

use std::sync::{Mutex, PoisonError};

use tokio::{sync::Mutex as AsyncMutex, task::yield_now};

use crate::{
    model::{clock::Timestamp, error::Error},
    store::{GRANT_STATES, KEY_STATES, Store},
};

/// Pages counted per run, for each table.
const PAGES: usize = 40;

/// The counts of the last complete lap, and the lap in progress.
#[derive(Debug, Default)]
pub struct Census {
    laps: AsyncMutex<[Lap; 2]>,
    totals: Mutex<[Option<Totals>; 2]>,
}

#[derive(Debug, Default)]
struct Lap {
    after: String,
    states: Vec<i64>,
}

/// The result of a complete lap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// When it was completed.
    pub at: Timestamp,
    /// The number in each state, in the order of [`KEY_STATES`] or [`GRANT_STATES`].
    pub states: Vec<i64>,
}

impl Census {
    /// Continues counting, up to forty thousand rows of each table. After an error, the next call continues from the
    /// same place.
    pub async fn advance(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let mut laps = self.laps.lock().await;
        for (table, lap) in laps.iter_mut().enumerate() {
            for _ in 0..PAGES {
                let page = match table {
                    0 => store.count_keys(now, &lap.after).await?,
                    _ => store.count_grants(now, &lap.after).await?,
                };
                lap.states.resize(page.states.len(), 0);
                lap.states.iter_mut().zip(&page.states).for_each(|(sum, more)| *sum += more);
                let Some(next) = page.next else {
                    let states = std::mem::take(lap).states;
                    self.totals.lock().unwrap_or_else(PoisonError::into_inner)[table] =
                        Some(Totals { at: now, states });
                    break;
                };
                lap.after = next;
                yield_now().await;
            }
        }
        Ok(())
    }

    /// For keys and grants: the names of the states, and the last complete lap, if any.
    pub fn totals(&self) -> [(&'static [&'static str], Option<Totals>); 2] {
        let [keys, grants] = self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        [(&KEY_STATES, keys), (&GRANT_STATES, grants)]
    }
}
