//! Owns how many keys and grants there are in each state: counted beside requests, a bounded part of the table a minute.
//!
//! A lap goes through a table in pages of a thousand rows. Up to forty thousand rows it is done, and exact, within each
//! minute; of ten million a lap takes four hours, and the last whole lap is what is totals.

use std::sync::{Mutex, PoisonError};

use tokio::{sync::Mutex as AsyncMutex, task::yield_now};

use crate::{
    model::{clock::Timestamp, error::Error},
    store::{GRANT_STATES, KEY_STATES, Store},
};

/// Pages counted in one go, of each table.
const PAGES: usize = 40;

/// The counts of the last whole lap, and the lap that is under way.
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

/// A whole lap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// When it was done.
    pub at: Timestamp,
    /// How many in each state, in the order of [`KEY_STATES`] or [`GRANT_STATES`].
    pub states: Vec<i64>,
}

impl Census {
    /// Goes on counting, at most forty thousand rows of each table.
    ///
    /// # Errors
    /// `temporarily_unavailable`; then it goes on from there the next time.
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

    /// Keys and grants: the names of the states, and the last whole lap if there was one.
    #[must_use]
    pub fn totals(&self) -> [(&'static [&'static str], Option<Totals>); 2] {
        let [keys, grants] = self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        [(&KEY_STATES, keys), (&GRANT_STATES, grants)]
    }
}
