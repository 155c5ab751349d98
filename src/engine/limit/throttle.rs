//! Owns the throttles for guesses and excessive requests, with their limits. Does not lock users out: a throttle counts
//! a sender together with its target, and a correct credential is accepted.

use std::sync::atomic::Ordering;

use super::{
    Limiter,
    window::{Ask, Limit, Subject},
};
use crate::{meters::Count, model::clock::Timestamp};

/// A limit on one kind of attempt.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    name: &'static str,
    seconds: u32,
    most: u32,
}

const QUARTER: u32 = 900;
const MINUTE: u32 = 60;

impl Throttle {
    /// Wrong credentials for one client from one sender (THREATS CA12).
    pub const CLIENT: Self = Self { name: "client", seconds: QUARTER, most: 100 };
    /// Wrong credentials for any client from one sender.
    pub const CLIENTS: Self = Self { name: "clients", seconds: QUARTER, most: 1000 };
    /// Introspections of unknown credentials by one caller (THREATS IN10).
    pub const INTROSPECTION: Self = Self { name: "introspection", seconds: MINUTE, most: 100 };
    /// Keys that one sender reports as leaked.
    pub const LEAKED: Self = Self { name: "leaked", seconds: QUARTER, most: 50 };

    /// Pages requested by one sender that require a sign-in; more are not stored for the return.
    pub const RETURNS: Self = Self { name: "return", seconds: QUARTER, most: 100 };
    /// Successful sign-ins to one account: far more than a person needs, far fewer than keep a server busy.
    pub const SIGN_INS_OF_ACCOUNT: Self = Self { name: "signed_in", seconds: QUARTER, most: 100 };
    /// Successful sign-ins from one sender: an office behind one address has many people.
    pub const SIGN_INS_OF_ADDRESS: Self = Self { name: "signed_in_from", seconds: QUARTER, most: 1000 };

    /// Failed sign-ins to one account, counted separately for strangers and for its owner's browsers.
    #[must_use]
    pub const fn account(most: u32) -> Self {
        Self { name: "account", seconds: QUARTER, most }
    }

    /// Failed sign-ins from one sender.
    #[must_use]
    pub const fn address(most: u32) -> Self {
        Self { name: "address", seconds: QUARTER, most }
    }

    /// Sign-ins started from one sender.
    #[must_use]
    pub const fn interactions(most: u32) -> Self {
        Self { name: "interaction", seconds: QUARTER, most }
    }

    /// Codes that one user requested and no client redeemed.
    #[must_use]
    pub const fn codes(most: u32) -> Self {
        Self { name: "code", seconds: QUARTER, most }
    }

    /// Credentials from one sender that were looked up in the store but not found.
    #[must_use]
    pub const fn credentials(most: u32) -> Self {
        Self { name: "credential", seconds: MINUTE, most }
    }

    /// Requests by one client to the token endpoint.
    #[must_use]
    pub const fn token_requests(most: u32) -> Self {
        Self { name: "token", seconds: MINUTE, most }
    }

    /// Requests by one user that change something.
    #[must_use]
    pub const fn writes_of_user(most: u32) -> Self {
        Self { name: "write_user", seconds: MINUTE, most }
    }

    /// The same with one API key.
    #[must_use]
    pub const fn writes_of_key(most: u32) -> Self {
        Self { name: "write_key", seconds: MINUTE, most }
    }

    fn limit(self) -> Limit {
        Limit { seconds: self.seconds, aligned: false, most: Some(self.most) }
    }

    fn of(self, subject: &str) -> Subject<'_> {
        Subject { kind: self.name, parts: [subject, ""] }
    }
}

impl Limiter {
    /// Counts one attempt of `subject`. If there were too many, returns the seconds to wait instead.
    pub async fn hit(&self, now: Timestamp, throttle: Throttle, subject: &str) -> Option<i64> {
        self.throttled(Ask::Count, now, throttle, subject).await
    }

    /// The seconds to wait if there were too many attempts of `subject`; counts nothing.
    pub async fn retry_after(&self, now: Timestamp, throttle: Throttle, subject: &str) -> Option<i64> {
        self.throttled(Ask::Peek, now, throttle, subject).await
    }

    /// The same from this node's memory, without asking others: for paths that must cost nothing.
    #[must_use]
    pub fn known_retry_after(
        &self,
        now: Timestamp,
        throttle: Throttle,
        subject: impl FnOnce() -> String,
    ) -> Option<i64> {
        // While no throttle is full, no lookup is needed.
        if self.last_full_ends.load(Ordering::Relaxed) <= now.seconds() {
            return None;
        }
        let wait = seconds(&self.table(throttle.name).ask(
            Ask::Peek,
            now.seconds(),
            throttle.of(&subject()),
            throttle.limit(),
        ));
        if wait.is_some() {
            self.throttled.with(throttle.name, Count::one);
        }
        wait
    }

    /// Takes back one attempt, which turned out to be correct.
    pub async fn release(&self, now: Timestamp, throttle: Throttle, subject: &str) {
        self.throttled(Ask::Release, now, throttle, subject).await;
    }

    /// Forgets every attempt of `subject`, which has proven correct.
    pub async fn reset(&self, now: Timestamp, throttle: Throttle, subject: &str) {
        self.throttled(Ask::Reset, now, throttle, subject).await;
    }

    async fn throttled(&self, ask: Ask, now: Timestamp, throttle: Throttle, subject: &str) -> Option<i64> {
        let (subject, limit) = (throttle.of(subject), throttle.limit());
        let table = self.table(throttle.name);
        let counted = match self.ask_shared(ask, subject, &[limit]).await {
            Some(counted) => {
                table.keep(subject, &counted);
                counted
            }
            // If the shared limits are unavailable, a throttle must neither open nor block everybody.
            None => table.ask(ask, now.seconds(), subject, limit),
        };
        if counted.over[0] || counted.windows[0].count >= throttle.most {
            self.last_full_ends.fetch_max(i64::from(counted.windows[0].ends), Ordering::Relaxed);
        }
        let wait = seconds(&counted);
        if wait.is_some() {
            self.throttled.with(throttle.name, Count::one);
        }
        wait
    }
}

fn seconds(counted: &super::window::Counted) -> Option<i64> {
    // One more than is left, because the current second was rounded down.
    counted.over[0].then(|| i64::from(counted.windows[0].ends) - counted.now + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failures_count_only_within_their_window() {
        let limiter = Limiter::default();
        let start = Timestamp(1_000_000);
        let throttle = Throttle::account(3);
        for _ in 0..3 {
            assert_eq!(limiter.retry_after(start, throttle, "a").await, None);
            assert_eq!(limiter.hit(start, throttle, "a").await, None);
        }
        assert_eq!(limiter.hit(start, throttle, "a").await, Some(901));
        assert_eq!(limiter.known_retry_after(start.plus_seconds(1), throttle, || "a".to_owned()), Some(900));
        assert_eq!(limiter.retry_after(start, throttle, "b").await, None);
        assert_eq!(limiter.retry_after(start, Throttle::address(3), "a").await, None);
        assert_eq!(limiter.retry_after(start.plus_seconds(900), throttle, "a").await, None);
        limiter.reset(start, throttle, "a").await;
        assert_eq!(limiter.retry_after(start, throttle, "a").await, None);
    }
}
