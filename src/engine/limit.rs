//! Owns counting requests against a plan, in this node's memory: an hour's quota and a second's burst for each subject at
//! each API. Does not know who the subject is. Bounded: of more subjects than it remembers, the least used are forgotten.

use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;

use crate::model::{clock::Timestamp, plan::Plan};

const HOUR_SECONDS: i64 = 3600;

/// Whether a request is within its plan, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Requests an hour; nothing where unlimited.
    pub limit: Option<u32>,
    /// Left of them in this window.
    pub remaining: Option<u32>,
    /// When the window ends, in seconds since the epoch.
    pub reset: i64,
    /// Seconds until then.
    pub seconds_left: i64,
    /// The request is too many.
    pub exceeded: bool,
    /// Seconds to wait where it is.
    pub retry_after: i64,
}

#[derive(Debug, Default)]
struct Window {
    hour: i64,
    in_hour: u32,
    second: i64,
    in_second: u32,
}

/// Counts requests.
#[derive(Debug)]
pub struct Limiter {
    windows: Cache<(Box<str>, Box<str>), Arc<Mutex<Window>>>,
}

impl Limiter {
    /// Remembering this many subjects.
    #[must_use]
    pub fn new(subjects: usize) -> Self {
        Self { windows: Cache::new(subjects) }
    }

    /// Counts one request of `subject` at `api`, unless it is too many: what is refused is not counted.
    #[must_use]
    pub fn count(&self, now: Timestamp, plan: &Plan, subject: &str, api: &str) -> Verdict {
        self.with(subject, api, |window| {
            window.turn(now);
            let verdict = window.verdict(now, plan);
            if !verdict.exceeded {
                window.in_hour = window.in_hour.saturating_add(1);
                window.in_second = window.in_second.saturating_add(1);
            }
            Verdict { remaining: plan.per_hour.map(|limit| limit.saturating_sub(window.in_hour)), ..verdict }
        })
    }

    /// What is left to `subject` at `api`; counts nothing.
    #[must_use]
    pub fn peek(&self, now: Timestamp, plan: &Plan, subject: &str, api: &str) -> Verdict {
        self.with(subject, api, |window| {
            window.turn(now);
            window.verdict(now, plan)
        })
    }

    fn with<T>(&self, subject: &str, api: &str, act: impl FnOnce(&mut Window) -> T) -> T {
        let key = (Box::from(subject), Box::from(api));
        let Ok(window) = self.windows.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        act(&mut window.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Window {
    /// Begins new windows where the old ones have ended. A clock that jumps begins new ones too: nobody stays locked out.
    fn turn(&mut self, now: Timestamp) {
        let (hour, second) = (now.seconds().div_euclid(HOUR_SECONDS), now.seconds());
        if self.hour != hour {
            (self.hour, self.in_hour) = (hour, 0);
        }
        if self.second != second {
            (self.second, self.in_second) = (second, 0);
        }
    }

    fn verdict(&self, now: Timestamp, plan: &Plan) -> Verdict {
        let reset = (self.hour + 1) * HOUR_SECONDS;
        let over_hour = plan.per_hour.is_some_and(|limit| self.in_hour >= limit);
        let over_second = self.in_second >= plan.burst;
        Verdict {
            limit: plan.per_hour,
            remaining: plan.per_hour.map(|limit| limit.saturating_sub(self.in_hour)),
            reset,
            seconds_left: reset - now.seconds(),
            exceeded: over_hour || over_second,
            retry_after: if over_hour { reset - now.seconds() } else { i64::from(over_second) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_795_219_200_000);

    fn plan(per_hour: Option<u32>, burst: u32) -> Plan {
        Plan { name: "test".to_owned(), per_hour, burst }
    }

    #[test]
    fn an_hour_has_its_quota_and_then_the_next_begins() {
        let (limiter, plan) = (Limiter::new(16), plan(Some(3), 100));
        let left: Vec<_> = (0..5).map(|_| limiter.count(START, &plan, "a", "x").remaining).collect();
        assert_eq!(left, [Some(2), Some(1), Some(0), Some(0), Some(0)]);
        let refused = limiter.count(START, &plan, "a", "x");
        assert_eq!((refused.exceeded, refused.retry_after), (true, 3600));
        assert!(!limiter.count(START, &plan, "b", "x").exceeded);
        assert!(!limiter.count(START, &plan, "a", "y").exceeded);
        assert!(!limiter.count(START.plus_seconds(3600), &plan, "a", "x").exceeded);
    }

    #[test]
    fn a_second_has_its_burst_also_where_an_hour_has_no_end() {
        let (limiter, plan) = (Limiter::new(16), plan(None, 2));
        let exceeded: Vec<_> = (0..3).map(|_| limiter.count(START, &plan, "a", "x").exceeded).collect();
        assert_eq!(exceeded, [false, false, true]);
        let next = limiter.count(START.plus_seconds(1), &plan, "a", "x");
        assert_eq!((next.exceeded, next.limit, next.remaining), (false, None, None));
    }

    #[test]
    fn asking_counts_nothing_and_a_clock_that_jumps_locks_nobody_out() {
        let (limiter, plan) = (Limiter::new(16), plan(Some(1), 10));
        assert_eq!(limiter.peek(START, &plan, "a", "x").remaining, Some(1));
        assert!(!limiter.count(START, &plan, "a", "x").exceeded);
        assert!(limiter.peek(START, &plan, "a", "x").exceeded);
        assert!(!limiter.count(START.plus_seconds(-7200), &plan, "a", "x").exceeded);
    }
}
