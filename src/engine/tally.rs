//! Owns events that happen too often for a row each: counted together, flushed as one audit entry per kind and subject.
//! A flood fills no disk, and issuing a token writes nothing on its way.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    model::{
        audit::{Event, Origin, network},
        clock::Timestamp,
        error::Error,
    },
    store::Store,
};

/// Subjects counted between two flushes; the rest are counted together.
const SUBJECTS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    event: &'static str,
    client_id: Option<String>,
    address: String,
    denied: Option<&'static str>,
}

/// Counts events.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<HashMap<Subject, (i64, String)>>,
}

impl Tally {
    /// Counts one event of a client, or of nobody, from an address.
    pub fn count(&self, event: &'static str, client_id: Option<&str>, origin: &Origin, denied: Option<&'static str>) {
        // Successes are told apart by client alone: a busy client has many addresses.
        let address = if denied.is_some() { sender(origin) } else { String::new() };
        let mut subject = Subject { event, client_id: client_id.map(ToOwned::to_owned), address, denied };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= SUBJECTS_MAX && !counts.contains_key(&subject) {
            subject = Subject { event, client_id: None, address: "many".to_owned(), denied };
        }
        let entry = counts.entry(subject).or_insert_with(|| (0, origin.request_id.clone()));
        entry.0 += 1;
    }

    /// Writes what was counted. What cannot be written is kept for the next time.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), Error> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(());
        }
        let entries = counts
            .iter()
            .map(|(subject, (times, request_id))| {
                let origin = Origin {
                    actor: subject.client_id.clone().unwrap_or_else(|| "anonymous".to_owned()),
                    address: subject.address.clone(),
                    request_id: request_id.clone(),
                };
                let event = Event {
                    event: subject.event,
                    client_id: subject.client_id.clone(),
                    denied: subject.denied.map(Into::into),
                    times: *times,
                    ..Event::default()
                };
                (origin, event)
            })
            .collect();
        if let Err(error) = store.audit(now, entries).await {
            let mut kept = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (subject, (times, request_id)) in counts {
                kept.entry(subject).or_insert((0, request_id)).0 += times;
            }
            return Err(error.into());
        }
        Ok(())
    }
}

/// Refusals are told apart by sender, so that one with many addresses is still one.
fn sender(origin: &Origin) -> String {
    origin.address.parse().map_or_else(|_| origin.address.clone(), network)
}
