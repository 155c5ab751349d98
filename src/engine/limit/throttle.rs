//! Owns what is guessed at or asked for too often, and how often is too often. Does not lock anybody out: each throttle counts
//! a sender together with what it tries, and whoever proves right is let in.

use std::sync::atomic::Ordering;

use super::{
    Limiter,
    window::{Ask, Limit, Subject},
};
use crate::{meters::Count, model::clock::Timestamp};

/// One thing that is counted so that it stops.
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
    /// Unknown credentials about which one caller asks (THREATS IN10).
    pub const INTROSPECTION: Self = Self { name: "introspection", seconds: MINUTE, most: 100 };
    /// Keys that one sender says are leaked.
    pub const LEAKED: Self = Self { name: "leaked", seconds: QUARTER, most: 50 };

    /// Pages that one sender asked for and has to sign in for: more are not kept.
    pub const RETURNS: Self = Self { name: "return", seconds: QUARTER, most: 100 };
    /// Sign-ins of one account that succeed: far more than a person needs, far fewer than keep a server busy.
    pub const SIGN_INS_OF_ACCOUNT: Self = Self { name: "signed_in", seconds: QUARTER, most: 100 };
    /// Sign-ins from one sender that succeed: an office behind one address has many people.
    pub const SIGN_INS_OF_ADDRESS: Self = Self { name: "signed_in_from", seconds: QUARTER, most: 1000 };

    /// Sign-ins that fail for one account, counted for strangers and for its owner's browsers apart.
    #[must_use]
    pub const fn account(most: u32) -> Self {
        Self { name: "account", seconds: QUARTER, most }
    }

    /// Sign-ins that fail from one sender.
    #[must_use]
    pub const fn address(most: u32) -> Self {
        Self { name: "address", seconds: QUARTER, most }
    }

    /// Sign-ins begun from one sender.
    #[must_use]
    pub const fn interactions(most: u32) -> Self {
        Self { name: "interaction", seconds: QUARTER, most }
    }

    /// Codes asked for by one user and not redeemed.
    #[must_use]
    pub const fn codes(most: u32) -> Self {
        Self { name: "code", seconds: QUARTER, most }
    }

    /// Credentials from one sender that the store was asked for in vain.
    #[must_use]
    pub const fn credentials(most: u32) -> Self {
        Self { name: "credential", seconds: MINUTE, most }
    }

    /// Requests of one client to the token endpoint.
    #[must_use]
    pub const fn token_requests(most: u32) -> Self {
        Self { name: "token", seconds: MINUTE, most }
    }

    /// Requests of one user that change something.
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
    /// Counts one try of `subject`, unless there were too many: then the seconds to wait.
    pub async fn hit(&self, now: Timestamp, throttle: Throttle, subject: &str) -> Option<i64> {
        self.throttled(Ask::Count, now, throttle, subject).await
    }

    /// The seconds to wait where there were too many tries of `subject`; counts nothing.
    pub async fn retry_after(&self, now: Timestamp, throttle: Throttle, subject: &str) -> Option<i64> {
        self.throttled(Ask::Peek, now, throttle, subject).await
    }

    /// The same as far as this node knows, without asking others: for what must cost nothing.
    #[must_use]
    pub fn known_retry_after(
        &self,
        now: Timestamp,
        throttle: Throttle,
        subject: impl FnOnce() -> String,
    ) -> Option<i64> {
        // As long as nobody is over anything, nobody is looked up.
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

    /// Takes one try back: it has turned out to be right.
    pub async fn release(&self, now: Timestamp, throttle: Throttle, subject: &str) {
        self.throttled(Ask::Release, now, throttle, subject).await;
    }

    /// Forgets every try of `subject`: it has proven right.
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
            // A throttle never opens, and never shuts everybody out, because others cannot be asked.
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
    // One more than is left: what is cut off of the last second counts too.
    counted.over[0].then(|| i64::from(counted.windows[0].ends) - counted.now + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failures_count_within_their_window_alone() {
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
