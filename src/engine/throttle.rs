//! Owns counting failed guesses, so that guessing stops. Does not lock anybody out: the owner's own browser has its own count.

use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;

use crate::model::clock::Timestamp;

/// Subjects counted at once; the least used are forgotten.
const SUBJECTS_MAX: usize = 65_536;
/// Failures count for this long, in seconds.
pub const WINDOW_SECONDS: i64 = 900;

#[derive(Debug)]
struct Count {
    failures: u32,
    until: Timestamp,
}

/// Counts failures per subject within a window.
#[derive(Debug)]
pub struct Throttle {
    counts: Cache<String, Arc<Mutex<Count>>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { counts: Cache::new(SUBJECTS_MAX) }
    }
}

impl Throttle {
    /// Seconds to wait if `subject` has failed `most` times, else nothing.
    #[must_use]
    pub fn wait_seconds(&self, now: Timestamp, subject: &str, most: u32) -> Option<i64> {
        let count = self.counts.get(subject)?;
        let count = count.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = count.until > now && count.failures >= most;
        counts.then(|| (count.until.0 - now.0).div_euclid(1000) + 1)
    }

    /// Counts one failure of `subject`.
    pub fn fail(&self, now: Timestamp, subject: &str) {
        let fresh = || Arc::new(Mutex::new(Count { failures: 0, until: now.plus_seconds(WINDOW_SECONDS) }));
        let counted = self.counts.get_or_insert_with(subject, || Ok::<_, std::convert::Infallible>(fresh()));
        let Ok(count) = counted;
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not keep a count alive for longer than its window.
        let ended = count.until <= now || count.until > now.plus_seconds(WINDOW_SECONDS);
        if ended {
            *count = Count { failures: 0, until: now.plus_seconds(WINDOW_SECONDS) };
        }
        count.failures = count.failures.saturating_add(1);
    }

    /// Forgets the failures of `subject`: it has succeeded.
    pub fn succeed(&self, subject: &str) {
        self.counts.remove(subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_within_their_window_alone() {
        let throttle = Throttle::default();
        let start = Timestamp(1_000_000);
        for _ in 0..3 {
            assert_eq!(throttle.wait_seconds(start, "a", 3), None);
            throttle.fail(start, "a");
        }
        assert!(throttle.wait_seconds(start, "a", 3).is_some());
        assert_eq!(throttle.wait_seconds(start, "b", 3), None);
        assert_eq!(throttle.wait_seconds(start.plus_seconds(WINDOW_SECONDS), "a", 3), None);
        throttle.succeed("a");
        assert_eq!(throttle.wait_seconds(start, "a", 3), None);
    }
}
