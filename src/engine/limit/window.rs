//! Owns counting within time windows, in this node's memory. Does not store what is counted: a name is a hash of it.
//! Memory is bounded: if there are too many names, the least used are forgotten.

use std::hash::{BuildHasher, RandomState};

use quick_cache::sync::{Cache, EntryAction, EntryResult};

use crate::model::clock::Timestamp;

/// Maximum windows per name: an hour and a second.
pub(super) const WINDOWS: usize = 2;

/// The subject of a count. Its parts never leave this node in plain text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub kind: &'static str,
    pub parts: [&'a str; 2],
}

/// One window: a maximum number of requests within a number of seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub seconds: u32,
    /// Whether it begins with the hour or second of the clock, not with the first request.
    pub aligned: bool,
    /// `None` means unlimited.
    pub most: Option<u32>,
}

/// An operation on the windows of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Reads their state.
    Peek,
    /// Adds one, unless one of them is full: refused requests are not counted.
    Count,
    /// Subtracts one: a counted attempt turned out to be correct.
    Release,
    /// Starts over.
    Reset,
}

/// The state of a window. Two of them take sixteen bytes: there can be a million names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// In seconds since the epoch, until 2106.
    pub ends: u32,
    pub count: u32,
}

/// The result of an [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// In seconds since the epoch, on the clock of the windows.
    pub now: i64,
    /// After the operation.
    pub windows: [Window; WINDOWS],
    /// Which of them were full before it.
    pub over: [bool; WINDOWS],
}

impl Window {
    /// Restarts a window that has ended, or that would last longer than its length because the clock was set back: a
    /// clock jump neither locks anybody out nor lets a count persist.
    fn turn(&mut self, now: i64, limit: Limit) {
        let (ends, seconds) = (i64::from(self.ends), i64::from(limit.seconds));
        if ends <= now || ends > now + seconds {
            let ends = if limit.aligned { (now.div_euclid(seconds) + 1) * seconds } else { now + seconds };
            *self = Self { ends: u32::try_from(ends).unwrap_or(u32::MAX), count: 0 };
        }
    }
}

/// Applies an operation to windows, and returns their new state.
pub(super) fn apply(windows: &mut [Window; WINDOWS], ask: Ask, now: i64, limits: &[Limit]) -> Counted {
    let mut over = [false; WINDOWS];
    if ask == Ask::Reset {
        *windows = Default::default();
    }
    for ((window, limit), over) in windows.iter_mut().zip(limits).zip(&mut over) {
        window.turn(now, *limit);
        *over = limit.most.is_some_and(|most| window.count >= most);
    }
    for window in windows.iter_mut().take(limits.len()) {
        window.count = match ask {
            Ask::Count if !over.contains(&true) => window.count.saturating_add(1),
            Ask::Release => window.count.saturating_sub(1),
            _ => window.count,
        };
    }
    Counted { now, windows: *windows, over }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Name([u64; 2]);

/// The windows of many names.
#[derive(Debug)]
pub(super) struct Windows {
    kept: Cache<Name, [Window; WINDOWS]>,
    // Keyed at random by each process: nobody can find two subjects with the same name.
    naming: [RandomState; 2],
}

impl Windows {
    /// Remembers this many names.
    pub(super) fn new(names: usize) -> Self {
        Self { kept: Cache::new(names), naming: [RandomState::new(), RandomState::new()] }
    }

    pub(super) fn ask(&self, ask: Ask, now: Timestamp, subject: Subject<'_>, limits: &[Limit]) -> Counted {
        self.with(ask == Ask::Count, subject, |windows| apply(windows, ask, now.seconds(), limits))
    }

    /// Stores the state of windows that were counted elsewhere.
    pub(super) fn keep(&self, ask: Ask, subject: Subject<'_>, counted: &Counted) {
        self.with(ask == Ask::Count, subject, |windows| *windows = counted.windows);
    }

    /// The number of names remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Only counting stores a name: a peek takes no memory.
    fn with<T>(&self, is_counted: bool, subject: Subject<'_>, act: impl Fn(&mut [Window; WINDOWS]) -> T) -> T {
        let name = Name([0, 1].map(|half: usize| self.naming[half].hash_one((subject.kind, subject.parts))));
        match self.kept.entry(&name, None, |_, windows| EntryAction::Retain(act(windows))) {
            EntryResult::Retained(result) => result,
            EntryResult::Vacant(place) if is_counted => {
                let mut windows = Default::default();
                let result = act(&mut windows);
                // Fails if the entry was removed meanwhile, which is the same as an eviction.
                let _ = place.insert(windows);
                result
            }
            // Unknown and not counted. No other result occurs: the closure above only retains, and there is no timeout.
            _ => act(&mut Default::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_795_219_200_000);
    const HOUR: Limit = Limit { seconds: 3600, aligned: true, most: Some(1) };
    const GUARD: Limit = Limit { seconds: 900, aligned: false, most: Some(2) };

    fn subject(name: &str) -> Subject<'_> {
        Subject { kind: "test", parts: [name, ""] }
    }

    #[test]
    fn windows_start_with_the_clock_or_the_first_event() {
        let windows = Windows::new(16);
        let late = START.plus_seconds(1800);
        assert_eq!(windows.ask(Ask::Count, late, subject("a"), &[HOUR]).windows[0].ends, 1_795_222_800);
        assert_eq!(windows.ask(Ask::Count, late, subject("b"), &[GUARD]).windows[0].ends, 1_795_221_900);
        assert!(windows.ask(Ask::Count, late.plus_seconds(1799), subject("a"), &[HOUR]).over[0]);
        assert!(!windows.ask(Ask::Count, late.plus_seconds(1800), subject("a"), &[HOUR]).over[0]);
    }

    #[test]
    fn successes_are_refunded_or_reset() {
        let windows = Windows::new(16);
        let ask = |ask| windows.ask(ask, START, subject("a"), &[GUARD]);
        assert_eq!(ask(Ask::Release).windows[0].count, 0);
        assert_eq!([ask(Ask::Count), ask(Ask::Count), ask(Ask::Count)].map(|c| c.over[0]), [false, false, true]);
        assert_eq!(ask(Ask::Release).windows[0].count, 1);
        assert!(!ask(Ask::Count).over[0] && ask(Ask::Peek).over[0]);
        assert!(!ask(Ask::Reset).over[0] && !ask(Ask::Peek).over[0]);
    }

    #[test]
    fn clock_jumps_neither_block_nor_bypass() {
        // THREATS: RL3
        let windows = Windows::new(16);
        let at = |seconds: i64| windows.ask(Ask::Count, START.plus_seconds(seconds), subject("a"), &[HOUR]).over[0];
        assert!(!at(0) && at(1));
        // Back beyond the window: it would last longer than its length, so it restarts, once.
        assert!(!at(-86_400) && at(-86_400));
        assert!(!at(86_400) && at(86_401));
    }

    #[test]
    fn flood_of_names_uses_bounded_memory() {
        // THREATS: RL3
        // The limit is the same for ten million names: memory depends on `most` alone, and so does the result here.
        let most = 1 << 10;
        let windows = Windows::new(most);
        let mut largest = 0;
        for name in 0..64 * most {
            windows.ask(Ask::Count, START, subject(&name.to_string()), &[HOUR]);
            assert!(windows.len() <= most + most / 8, "{} names are remembered", windows.len());
            if name % most == 0 {
                // Name, two windows, and what the cache stores to find the least used.
                largest = largest.max(windows.kept.memory_used().total());
            }
        }
        assert!(largest < most * 128, "{largest} bytes");
        // The newest name is still counted.
        assert!(windows.ask(Ask::Count, START, subject(&(64 * most - 1).to_string()), &[HOUR]).over[0]);
    }

    #[test]
    fn peeking_uses_no_memory() {
        let windows = Windows::new(16);
        for ask in [Ask::Peek, Ask::Release, Ask::Reset] {
            windows.ask(ask, START, subject("a"), &[HOUR]);
        }
        assert_eq!(windows.len(), 0);
    }
}
