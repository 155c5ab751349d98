//! Owns counting guesses, one window per name, in memory of fixed size. Does not count plans; see `window`.
//!
//! An attacker can invent names without end, so new names must not evict one that is being guessed at. Each name has a
//! few slots, chosen by a hash that outsiders cannot compute. If all are taken, the one with the lowest count is
//! replaced, among equals the newest: names that were tried once replace each other, one counted before them stays, and
//! a full one stays until its window ends.

use std::{
    cmp::Reverse,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use super::window::{Ask, Counted, Limit, Subject, WINDOWS, Window, apply};

/// Slots per name.
const WAYS: usize = 8;
/// Parts with separate locks.
const SHARDS: usize = 16;

/// Two words of a name's hash, then end and count of its window. Zeros mark a free slot: plain numbers, so that the
/// system allocates the memory on the first write.
type Slot = [u64; 3];

/// The windows of many names.
#[derive(Debug)]
pub(super) struct Table {
    shards: [Mutex<Vec<Slot>>; SHARDS],
    sets: usize,
    // Keyed at random by each process.
    naming: [RandomState; 2],
}

impl Table {
    /// Has room for this many names, at 24 bytes each.
    pub(super) fn new(names: usize) -> Self {
        let sets = (names / SHARDS / WAYS).max(1);
        Self {
            shards: std::array::from_fn(|_| Mutex::new(vec![[0; 3]; sets * WAYS])),
            sets,
            naming: [RandomState::new(), RandomState::new()],
        }
    }

    /// The result of an operation at `now`, in seconds since the epoch. Only counting stores a name.
    pub(super) fn ask(&self, ask: Ask, now: i64, subject: Subject<'_>, limit: Limit) -> Counted {
        self.with(now, subject, |windows| apply(windows, ask, now, &[limit]))
    }

    /// Copies the state of a window from the shared store.
    pub(super) fn keep(&self, subject: Subject<'_>, counted: &Counted) {
        self.with(counted.now, subject, |windows| *windows = counted.windows);
    }

    fn with<T>(&self, now: i64, subject: Subject<'_>, act: impl FnOnce(&mut [Window; WINDOWS]) -> T) -> T {
        let [one, two] = [0, 1].map(|half: usize| self.naming[half].hash_one((subject.kind, subject.parts)));
        // Never zeros, which mark a free slot.
        let name = [one | 1, two];
        let (shard, set) = (place(one >> 1, SHARDS), place(two, self.sets));
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let places = &mut shard[set * WAYS..(set + 1) * WAYS];
        let known = places.iter().position(|slot| slot[..2] == name);
        let mut windows: [Window; WINDOWS] = Default::default();
        if let Some(at) = known {
            windows[0] = window(&places[at]);
        }
        let result = act(&mut windows);
        let slot = |[one, two]: [u64; 2]| [one, two, (u64::from(windows[0].ends) << 32) | u64::from(windows[0].count)];
        match (known, windows[0].count) {
            (None, 0) => {}
            (Some(at), 0) => places[at] = [0; 3],
            (Some(at), _) => places[at] = slot(name),
            (None, _) => {
                let at = to_replace(places, now);
                places[at] = slot(name);
            }
        }
        result
    }
}

fn place(hash: u64, places: usize) -> usize {
    usize::try_from(hash % places as u64).unwrap_or_default()
}

fn window(slot: &Slot) -> Window {
    let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
    Window { ends: half(slot[2] >> 32), count: half(slot[2]) }
}

/// The slot for a new name: the first that is free or whose window has ended. Otherwise the one with the lowest count,
/// and among equals the newest: a flood of new names then replaces its own names and none counted before.
fn to_replace(places: &[Slot], now: i64) -> usize {
    let has_ended = |slot: &Slot| i64::from(window(slot).ends) <= now;
    let lowest = || {
        let order = |at: &usize| {
            let Window { ends, count } = window(&places[*at]);
            (count, Reverse(ends), Reverse(*at))
        };
        (0..places.len()).min_by_key(order).unwrap_or_default()
    };
    places.iter().position(has_ended).unwrap_or_else(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_219_200;
    const RULE: Limit = Limit { seconds: 900, aligned: false, most: Some(10) };

    fn subject(name: &str) -> Subject<'_> {
        Subject { kind: "test", parts: [name, ""] }
    }

    fn count(table: &Table, now: i64, name: &str) -> bool {
        table.ask(Ask::Count, now, subject(name), RULE).over[0]
    }

    fn names(table: &Table) -> usize {
        table.shards.iter().map(|shard| shard.lock().expect("a shard").iter().filter(|slot| slot[0] != 0).count()).sum()
    }

    #[test]
    fn flood_of_names_does_not_evict_a_guessed_name() {
        // THREATS: CA12 RL3
        let table = Table::new(1024);
        for _ in 0..10 {
            assert!(!count(&table, NOW, "alice"));
        }
        assert!(count(&table, NOW, "alice"));
        for name in 0..40 * 1024 {
            count(&table, NOW, &name.to_string());
        }
        assert!(names(&table) <= 1024, "{}", names(&table));
        assert!(count(&table, NOW, "alice"), "still refused");
        // The newest name is counted, however full the table is.
        for _ in 0..10 {
            assert!(!count(&table, NOW, "newest"));
        }
        assert!(count(&table, NOW, "newest"));
        // A window that has ended frees its slot.
        assert!(!count(&table, NOW + 900, "alice"));
    }

    #[test]
    fn flood_does_not_evict_a_name_guessed_equally_often() {
        // THREATS: CA12 RL3
        let table = Table::new(1024);
        count(&table, NOW, "alice");
        for name in 0..40 * 1024 {
            count(&table, NOW + name / 1024, &name.to_string());
        }
        let stands = table.ask(Ask::Peek, NOW + 60, subject("alice"), RULE);
        assert_eq!(stands.windows[0].count, 1, "the guess from before the flood is still counted");
    }

    #[test]
    fn names_are_added_by_counting_only_and_refunds_free_them() {
        let table = Table::new(1024);
        for ask in [Ask::Peek, Ask::Release, Ask::Reset] {
            table.ask(ask, NOW, subject("alice"), RULE);
        }
        assert_eq!(names(&table), 0);
        for ask in [Ask::Release, Ask::Reset] {
            count(&table, NOW, "alice");
            assert_eq!(names(&table), 1);
            table.ask(ask, NOW, subject("alice"), RULE);
            assert_eq!(names(&table), 0);
        }
        for _ in 0..3 {
            count(&table, NOW, "alice");
        }
        let stands = table.ask(Ask::Release, NOW, subject("alice"), RULE);
        assert_eq!((stands.windows[0].count, i64::from(stands.windows[0].ends)), (2, NOW + 900));
    }
}
