//! Owns time as a value. Does not decide expiry. The only file that reads the system clock.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use time::{
    OffsetDateTime,
    format_description::well_known::{Rfc2822, Rfc3339},
};

/// A point in time: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the epoch, as in JWT and JSON members (RFC 7519 §2 NumericDate).
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time `seconds` later; saturates instead of overflowing.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// A time from whole seconds since the epoch.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Reads a time as people write it: RFC 3339, or seconds since the epoch.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if let Ok(seconds) = text.parse::<i64>() {
            return Some(Self::from_seconds(seconds));
        }
        OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| Self::from_seconds(at.unix_timestamp()))
    }

    /// Reads a time in the format of HTTP's `Date` (RFC 9110 §5.6.7).
    #[must_use]
    pub fn read_http(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc2822).ok().map(|at| Self::from_seconds(at.unix_timestamp()))
    }

    /// RFC 3339 text in UTC with seconds, for JSON and people.
    #[must_use]
    pub fn rfc3339(self) -> String {
        OffsetDateTime::from_unix_timestamp(self.seconds())
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok())
            .unwrap_or_default()
    }

    /// RFC 3339 text in UTC to the millisecond, for times that must be told apart.
    #[must_use]
    pub fn rfc3339_exact(self) -> String {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok())
            .unwrap_or_default()
    }

    /// Day in words for pages, such as `21 Nov 2026`.
    #[must_use]
    pub fn day(self) -> String {
        const DAY: &[time::format_description::BorrowedFormatItem<'_>] =
            time::macros::format_description!("[day padding:none] [month repr:short] [year]");
        OffsetDateTime::from_unix_timestamp(self.seconds()).ok().and_then(|at| at.format(DAY).ok()).unwrap_or_default()
    }
}

/// The source of `now`: the system, or a test that sets it.
#[derive(Debug)]
pub enum Clock {
    /// The system clock, which never goes back while the process runs, so that nothing expired becomes valid again.
    System(SteadyClock),
    /// A clock that does not move by itself.
    Manual(AtomicI64),
}

/// The wall clock, continued by the monotonic clock if it is set back.
#[derive(Debug)]
pub struct SteadyClock {
    started: Instant,
    // The wall clock's lead over the monotonic clock, in milliseconds: the greatest seen.
    lead_ms: AtomicI64,
}

impl SteadyClock {
    fn now(&self, wall_ms: i64) -> Timestamp {
        let elapsed_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let lead_ms = wall_ms.saturating_sub(elapsed_ms);
        let before = self.lead_ms.load(Ordering::Relaxed);
        if lead_ms > before {
            self.lead_ms.fetch_max(lead_ms, Ordering::Relaxed);
        }
        Timestamp(elapsed_ms.saturating_add(lead_ms.max(before)))
    }
}

impl Clock {
    /// The system clock.
    #[must_use]
    pub fn system() -> Self {
        Self::System(SteadyClock { started: Instant::now(), lead_ms: AtomicI64::new(i64::MIN) })
    }

    /// A manual clock set to `at`.
    #[must_use]
    pub fn manual(at: Timestamp) -> Self {
        Self::Manual(AtomicI64::new(at.0))
    }

    /// The current time. Read once per request, at the edge.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System(steady) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                steady.now(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Manual(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// Advances a manual clock; the system clock is not changed.
    pub fn advance_seconds(&self, seconds: i64) {
        if let Self::Manual(at) = self {
            at.fetch_add(seconds * 1000, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_parsed() {
        // RFC 9110 §5.6.7.
        assert_eq!(Timestamp::read_http("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp(784_111_777_000)));
        assert_eq!(Timestamp::read_http("soon"), None);
    }

    #[test]
    fn clock_set_back_revives_nothing() {
        // THREATS: ST6
        let clock = SteadyClock { started: Instant::now(), lead_ms: AtomicI64::new(i64::MIN) };
        let start = clock.now(1_000_000_000);
        assert!(clock.now(1_000_000_000 - 3_600_000) >= start);
        let ahead = clock.now(1_000_000_000 + 3_600_000);
        assert!(ahead.0 >= start.0 + 3_600_000);
        assert!(clock.now(1_000_000_000) >= ahead);
    }
}
