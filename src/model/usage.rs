//! Owns counts of requests by hour and day.

use serde::Serialize;

use super::clock::Timestamp;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The outcome of a request with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed.
    Allowed,
    /// Refused because of the key's state or permissions.
    Denied,
    /// Refused because of a rate limit.
    Limited,
}

/// Requests with a key within one hour, or summed over several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HourUsage {
    /// When the hour (or day) began.
    pub hour: Timestamp,
    /// Requests allowed.
    pub allowed: i64,
    /// Requests refused because of the key's state or permissions.
    pub denied: i64,
    /// Requests refused because of a rate limit.
    pub limited: i64,
}

/// The start of the hour of `at`.
pub fn hour(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(HOUR_MS) * HOUR_MS)
}

/// The start of the day of `at`, in UTC.
pub fn day(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(DAY_MS) * DAY_MS)
}

/// Sums hours, in order, into days.
pub fn days(hours: &[HourUsage]) -> Vec<HourUsage> {
    let mut days: Vec<HourUsage> = Vec::new();
    for usage in hours {
        match days.last_mut() {
            Some(last) if last.hour == day(usage.hour) => {
                last.allowed += usage.allowed;
                last.denied += usage.denied;
                last.limited += usage.limited;
            }
            _ => days.push(HourUsage { hour: day(usage.hour), ..*usage }),
        }
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_add_up_to_days() {
        let of = |hour: i64| HourUsage { hour: Timestamp(hour * HOUR_MS), allowed: 1, denied: 2, limited: 3 };
        let days = days(&[of(0), of(23), of(24), of(60)]);
        let sums: Vec<_> = days.iter().map(|day| (day.hour.0 / DAY_MS, day.allowed, day.denied, day.limited)).collect();
        assert_eq!(sums, [(0, 2, 4, 6), (1, 1, 2, 3), (2, 1, 2, 3)]);
        assert_eq!(hour(Timestamp(-1)), Timestamp(-HOUR_MS));
    }
}
