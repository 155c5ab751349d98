//! Owns events that are too frequent for one row each, so they are counted by the hour. No flood can fill the disk, and
//! issuing a token writes nothing on the request path.
//!
//! For each event, reason and sender (or client), there are at most two audit entries an hour: one soon after the first
//! event, and one with the rest when the hour has ended. The number of separate senders and clients is limited; the
//! others are counted together, which loses only their identity.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::Error,
        network::sender_network,
    },
    store::Store,
};

const HOUR_SECONDS: i64 = 3600;
/// Maximum senders counted separately within an hour, for each event and reason.
const SENDERS_MAX: usize = 16;
/// Maximum clients counted separately within an hour, by event and reason: for successes, and again for refusals.
const CLIENTS_MAX: usize = 1024;
/// The address under which all others are counted.
const MANY: &str = "many";

/// The subject of a count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CountedEvent {
    event: &'static str,
    denied: Option<&'static str>,
    whose: CountedParty,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum CountedParty {
    Client(String),
    Sender(String),
    Others,
}

/// The count since the last write, with the first event as an example.
#[derive(Clone, Debug, Default)]
struct EventCount {
    times: i64,
    is_written: bool,
    request_id: String,
    address: String,
}

#[derive(Debug, Default)]
struct Counts {
    hour: i64,
    subjects: HashMap<CountedEvent, EventCount>,
    senders: HashMap<(&'static str, Option<&'static str>), usize>,
    /// Clients counted for refusals, and for successes.
    clients: [usize; 2],
}

/// Counts events.
#[derive(Debug, Default)]
pub struct EventCounts {
    counts: Mutex<Counts>,
}

impl Counts {
    /// The subject to count under: its own, or the shared one once too many are counted separately.
    fn distinguish(&mut self, subject: CountedEvent) -> CountedEvent {
        if self.subjects.contains_key(&subject) {
            return subject;
        }
        let (known, most) = match &subject.whose {
            CountedParty::Client(_) => (&mut self.clients[usize::from(subject.denied.is_none())], CLIENTS_MAX),
            CountedParty::Sender(_) => (self.senders.entry((subject.event, subject.denied)).or_default(), SENDERS_MAX),
            CountedParty::Others => return subject,
        };
        if *known >= most {
            return CountedEvent { whose: CountedParty::Others, ..subject };
        }
        *known += 1;
        subject
    }

    /// Takes the counts to write now: those new in this hour; all of them if the hour has ended, or with `is_last`.
    fn take(&mut self, now: Timestamp, is_last: bool) -> Vec<(CountedEvent, EventCount)> {
        let hour = now.seconds().div_euclid(HOUR_SECONDS);
        let has_ended = self.hour != 0 && hour != self.hour;
        self.hour = hour;
        let mut due = Vec::new();
        for (subject, count) in &mut self.subjects {
            if count.times > 0 && (is_last || has_ended || !count.is_written) {
                due.push((subject.clone(), count.clone()));
                *count = EventCount { is_written: true, ..EventCount::default() };
            }
        }
        if has_ended {
            *self = Self { hour, ..Self::default() };
        }
        due
    }
}

impl EventCounts {
    /// Counts one event of a client, or of an anonymous sender, from an address.
    pub fn count(&self, event: &'static str, client_id: Option<&str>, origin: &Origin, denied: Option<&'static str>) {
        let whose =
            client_id.map_or_else(|| CountedParty::Sender(sender(origin)), |id| CountedParty::Client(id.to_owned()));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let subject = counts.distinguish(CountedEvent { event, denied, whose });
        let count = counts.subjects.entry(subject).or_default();
        if count.times == 0 {
            count.request_id.clone_from(&origin.request_id);
            // Successes are counted by client ID alone: a busy client has many addresses.
            count.address = if denied.is_some() { sender(origin) } else { String::new() };
        }
        count.times += 1;
    }

    /// Writes the counts due at `now`; with `is_last`, all. Those that cannot be written are kept for the next time.
    pub async fn flush(&self, store: &Store, now: Timestamp, is_last: bool) -> Result<(), Error> {
        let due = self.counts.lock().unwrap_or_else(PoisonError::into_inner).take(now, is_last);
        if due.is_empty() {
            return Ok(());
        }
        let entries = due.iter().map(|(subject, count)| entry(subject, count)).collect();
        if let Err(error) = store.audit(now, entries).await {
            let mut kept = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (subject, count) in due {
                let subject = kept.distinguish(subject);
                let since = kept.subjects.entry(subject).or_default();
                *since = EventCount { times: since.times + count.times, is_written: false, ..count };
            }
            return Err(error.into());
        }
        Ok(())
    }
}

fn entry(subject: &CountedEvent, count: &EventCount) -> (Origin, Event) {
    let (client_id, address) = match &subject.whose {
        CountedParty::Client(id) => (Some(id.clone()), count.address.clone()),
        CountedParty::Sender(_) => (None, count.address.clone()),
        CountedParty::Others => (None, MANY.to_owned()),
    };
    let origin = Origin {
        actor: client_id.clone().unwrap_or_else(|| "anonymous".to_owned()),
        address,
        request_id: count.request_id.clone(),
    };
    let event = Event {
        event: subject.event,
        client_id,
        denied: subject.denied.map(Into::into),
        times: count.times,
        ..Event::default()
    };
    (origin, event)
}

/// Refusals are counted by sender network, so that a sender with many addresses counts as one.
fn sender(origin: &Origin) -> String {
    origin.address.parse().map_or_else(|_| origin.address.clone(), sender_network)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_219_200_000);

    fn from(address: &str) -> Origin {
        Origin { address: address.to_owned(), ..Origin::default() }
    }

    #[test]
    fn flood_from_many_addresses_writes_a_bounded_number_of_entries() {
        // THREATS: AU5
        let event_counts = EventCounts::default();
        let (mut entries, mut times) = (0, 0);
        // Six flushes a minute for an hour, each after a hundred refusals from new addresses.
        for flush in 0..=360_i64 {
            for sender in 0..100 {
                let address = format!("2001:db8:{flush:x}:{sender:x}::1");
                event_counts.count("credential", None, &from(&address), Some("unknown"));
            }
            let due = event_counts.counts.lock().expect("counts").take(NOW.plus_seconds(10 * flush), false);
            entries += due.len();
            times += due.iter().map(|(_, count)| count.times).sum::<i64>();
        }
        assert_eq!(times, 36_100, "each is counted");
        // Sixteen senders as examples and all others together, once early and once at the end of the hour.
        assert!(entries <= 34, "{entries} entries");
        assert!(event_counts.counts.lock().expect("counts").subjects.is_empty(), "a new hour begins with nothing");
    }

    #[test]
    fn client_events_are_counted_by_name_during_a_flood() {
        let event_counts = EventCounts::default();
        for sender in 0..200 {
            event_counts.count("credential", None, &from(&format!("203.0.113.{sender}")), Some("unknown"));
        }
        let issue = |client: &str, times: usize| {
            for _ in 0..times {
                event_counts.count("token.issue", Some(client), &from("192.0.2.1"), None);
            }
        };
        let issued = |is_last: bool, seconds: i64| {
            let mut due = event_counts.counts.lock().expect("counts").take(NOW.plus_seconds(seconds), is_last);
            due.retain(|(subject, _)| subject.event == "token.issue");
            due.into_iter().map(|(_, count)| count.times).collect::<Vec<_>>()
        };
        issue("client_a", 500);
        issue("client_b", 500);
        assert_eq!(issued(false, 0), [500, 500]);
        issue("client_a", 300);
        assert_eq!(issued(false, 1800), [0; 0], "the rest of the hour waits for its end");
        assert_eq!(issued(false, 3600), [300]);
        issue("client_a", 2);
        assert_eq!(issued(true, 3601), [2]);
    }
}
