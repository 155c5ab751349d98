//! Owns counting requests against a plan: an hourly quota and a burst per second for each subject at each API. Counts
//! in this node's memory, or with the other nodes if Redis is configured. Also counts guesses; see `throttle`.

mod shared;
mod table;
mod throttle;
mod window;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, atomic::AtomicI64},
};

use aws_lc_rs::hmac;

pub use self::throttle::Throttle;
use self::{
    shared::Shared,
    table::Table,
    window::{Ask, Counted, Limit, Subject, Windows},
};
use crate::{
    config::SharedFailure,
    meters::{Count, Named},
    model::{clock::Timestamp, error::Error, plan::Plan},
};

const HOUR_SECONDS: u32 = 3600;
/// Maximum subjects whose plan this node counts at once, at some 110 bytes each; memory is allocated on demand.
const PLANS_MAX: usize = 1 << 20;
/// Maximum names that one throttle counts at once, in 1.5 MiB.
const GUARD_MAX: usize = 1 << 16;

/// Whether a request is within its plan, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Requests per hour; `None` if unlimited.
    pub limit: Option<u32>,
    /// Requests left in this window.
    pub remaining: Option<u32>,
    /// When the window ends, in seconds since the epoch.
    pub reset: i64,
    /// Seconds until the window ends.
    pub seconds_left: i64,
    /// Whether the request exceeds the plan.
    pub exceeded: bool,
    /// Seconds to wait if it does.
    pub retry_after: i64,
}

/// Counts requests and guesses.
#[derive(Debug)]
pub struct Limiter {
    plans: Windows,
    // A table for each throttle, created on first use: a flood of one evicts nothing from another, or from plans.
    guards: RwLock<HashMap<&'static str, Arc<Table>>>,
    // When the last throttle that was full is free again, in seconds since the epoch.
    last_full_ends: AtomicI64,
    shared: Option<Arc<Shared>>,
    failure: SharedFailure,
    /// Requests over their plan, by plan name.
    pub limited: Named<Count>,
    /// Refusals by throttle name.
    pub throttled: Named<Count>,
}

impl Default for Limiter {
    /// Counts in this node's memory.
    fn default() -> Self {
        Self {
            plans: Windows::new(PLANS_MAX),
            guards: RwLock::default(),
            last_full_ends: AtomicI64::new(0),
            shared: None,
            failure: SharedFailure::Local,
            limited: Named::default(),
            throttled: Named::default(),
        }
    }
}

impl Limiter {
    /// Counts with every node that uses the same Redis and the same `names`, the key for hashing subjects there.
    ///
    /// # Errors
    /// `invalid_request` if `url` is invalid. An unreachable Redis is not an error; see [`SharedFailure`].
    pub async fn shared(url: &str, names: hmac::Key, limits: &crate::config::Limits) -> Result<Self, Error> {
        let wait = std::time::Duration::from_millis(limits.shared_milliseconds);
        let shared = Shared::connect(url, names, wait).await?;
        Ok(Self { shared: Some(shared), failure: limits.shared_failure, ..Self::default() })
    }

    /// Whether the nodes currently count together; `None` if this node is configured to count alone.
    #[must_use]
    pub fn is_shared(&self) -> Option<bool> {
        self.shared.as_ref().map(|shared| shared.is_reached())
    }

    /// Counts one request of `subject` at `api`, unless it exceeds the plan: refused requests are not counted. `None`
    /// if the shared limits are unavailable and the configuration allows such requests.
    ///
    /// # Errors
    /// `temporarily_unavailable` if the shared limits are unavailable and the configuration refuses such requests.
    pub async fn count(&self, now: Timestamp, plan: &Plan, subject: &str, api: &str) -> Result<Option<Verdict>, Error> {
        let counted = self.within(Ask::Count, now, plan, subject, api).await?;
        if counted.is_some_and(|verdict| verdict.exceeded) {
            // The management API has its own plan, without a name.
            let name = if plan.name.is_empty() { "management_api" } else { &plan.name };
            self.limited.with(name, Count::one);
        }
        Ok(counted)
    }

    /// The remaining requests of `subject` at `api`; counts nothing.
    ///
    /// # Errors
    /// As [`Self::count`].
    pub async fn peek(&self, now: Timestamp, plan: &Plan, subject: &str, api: &str) -> Result<Option<Verdict>, Error> {
        self.within(Ask::Peek, now, plan, subject, api).await
    }

    async fn within(
        &self,
        ask: Ask,
        now: Timestamp,
        plan: &Plan,
        subject: &str,
        api: &str,
    ) -> Result<Option<Verdict>, Error> {
        let subject = Subject { kind: "plan", parts: [subject, api] };
        let limits = [
            Limit { seconds: HOUR_SECONDS, aligned: true, most: plan.per_hour },
            Limit { seconds: 1, aligned: true, most: Some(plan.burst) },
        ];
        let counted = match (&self.shared, self.failure) {
            (None, _) => self.plans.ask(ask, now, subject, &limits),
            (Some(_), failure) => match (self.ask_shared(ask, subject, &limits).await, failure) {
                (Some(counted), _) => {
                    // If Redis becomes unavailable, this node continues from the last count it received.
                    self.plans.keep(ask, subject, &counted);
                    counted
                }
                (None, SharedFailure::Local) => self.plans.ask(ask, now, subject, &limits),
                (None, SharedFailure::Refuse) => return Err(Error::unavailable("the shared limits are unreachable")),
                (None, SharedFailure::Allow) => return Ok(None),
            },
        };
        Ok(Some(verdict(plan, &counted)))
    }

    /// The result of the shared limits; `None` if they are unavailable or not configured.
    async fn ask_shared(&self, ask: Ask, subject: Subject<'_>, limits: &[Limit]) -> Option<Counted> {
        // Boxed, to keep the path without it as small as if it did not exist.
        Box::pin(self.shared.as_ref()?.ask(ask, subject, limits)).await
    }

    /// The table of the throttle called `name`.
    fn table(&self, name: &'static str) -> Arc<Table> {
        if let Some(table) = self.guards.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(table);
        }
        let mut tables = self.guards.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tables.entry(name).or_insert_with(|| Arc::new(Table::new(GUARD_MAX))))
    }
}

fn verdict(plan: &Plan, counted: &Counted) -> Verdict {
    let ([hour, _], [over_hour, over_second]) = (counted.windows, counted.over);
    let reset = i64::from(hour.ends);
    let seconds_left = reset - counted.now;
    Verdict {
        limit: plan.per_hour,
        remaining: plan.per_hour.map(|limit| limit.saturating_sub(hour.count)),
        reset,
        seconds_left,
        exceeded: over_hour || over_second,
        retry_after: if over_hour { seconds_left } else { i64::from(over_second) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_795_219_200_000);

    fn plan(per_hour: Option<u32>, burst: u32) -> Plan {
        Plan { name: "test".to_owned(), per_hour, burst }
    }

    async fn count(limiter: &Limiter, now: Timestamp, plan: &Plan, subject: &str, api: &str) -> Verdict {
        limiter.count(now, plan, subject, api).await.expect("counted").expect("a verdict")
    }

    #[tokio::test]
    async fn hourly_quota_is_enforced_and_renewed() {
        let (limiter, plan) = (Limiter::default(), plan(Some(3), 100));
        let mut left = Vec::new();
        for _ in 0..5 {
            left.push(count(&limiter, START, &plan, "a", "x").await.remaining);
        }
        assert_eq!(left, [Some(2), Some(1), Some(0), Some(0), Some(0)]);
        let refused = count(&limiter, START, &plan, "a", "x").await;
        assert_eq!((refused.exceeded, refused.retry_after), (true, 3600));
        assert!(!count(&limiter, START, &plan, "b", "x").await.exceeded);
        assert!(!count(&limiter, START, &plan, "a", "y").await.exceeded);
        assert!(!count(&limiter, START.plus_seconds(3600), &plan, "a", "x").await.exceeded);
    }

    #[tokio::test]
    async fn burst_is_enforced_even_without_an_hourly_limit() {
        let (limiter, plan) = (Limiter::default(), plan(None, 2));
        let mut exceeded = Vec::new();
        for _ in 0..3 {
            exceeded.push(count(&limiter, START, &plan, "a", "x").await.exceeded);
        }
        assert_eq!(exceeded, [false, false, true]);
        let next = count(&limiter, START.plus_seconds(1), &plan, "a", "x").await;
        assert_eq!((next.exceeded, next.limit, next.remaining), (false, None, None));
    }

    #[tokio::test]
    async fn peeking_counts_nothing_and_clock_jumps_lock_nobody_out() {
        let (limiter, plan) = (Limiter::default(), plan(Some(1), 10));
        let peek = async || limiter.peek(START, &plan, "a", "x").await.expect("looked").expect("a verdict");
        assert_eq!(peek().await.remaining, Some(1));
        assert!(!count(&limiter, START, &plan, "a", "x").await.exceeded);
        assert!(peek().await.exceeded);
        assert!(!count(&limiter, START.plus_seconds(-7200), &plan, "a", "x").await.exceeded);
    }
}
