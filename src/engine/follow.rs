//! Owns the work that goes on beside requests: following the feed, flushing counts, tending keys, sweeping. Each task
//! ends when told to; none is needed for an answer to be right.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    catalog::CatalogCache, census::Census, denials::Denials, mail::Mailer, signing::Signing, tally::Tally, usage::Usage,
};
use crate::{
    cache::{Entity, EntityKind},
    meters::{Count, Named},
    model::{api::Algorithm, clock::Clock, error::Error},
    store::{Follower, Store},
};

/// Between two looks at the feed. A change elsewhere is seen within this and the look itself.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two flushes of counts: at most this much is lost by a kill.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
const TEND_EVERY: Duration = Duration::from_secs(60);

/// The tasks that can fail: following the feed, writing counts, tending keys and tables.
pub const TASKS: [&str; 3] = ["follow", "flush", "tend"];

/// What the tasks work on.
#[derive(Clone, Debug)]
pub struct Background {
    /// The database.
    pub store: Arc<Store>,
    /// The APIs.
    pub catalog: Arc<CatalogCache>,
    /// The keys.
    pub signing: Arc<Signing>,
    /// Counted uses.
    pub usage: Arc<Usage>,
    /// Counted events.
    pub tally: Arc<Tally>,
    /// Refused requests.
    pub denials: Arc<Denials>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Mail that waits.
    pub mailer: Arc<Mailer>,
    /// Counts keys and grants.
    pub census: Arc<Census>,
    /// How often each task failed, see [`TASKS`].
    pub failures: Arc<Named<Count>>,
    /// Seals the audit log.
    pub audit_key: hmac::Key,
    /// How long an audit entry is kept, in seconds.
    pub audit_seconds: i64,
}

impl Background {
    /// Starts every task; each ends after `stop`.
    pub fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        let (background, until) = (self.clone(), stop.clone());
        tasks.spawn(async move { background.follow(until).await });
        let (background, until) = (self.clone(), stop.clone());
        tasks.spawn(async move { background.every(FLUSH_EVERY, until, "flush").await });
        let (background, until) = (self.clone(), stop.clone());
        tasks.spawn(async move { background.every(TEND_EVERY, until, "tend").await });
        let (background, until) = (self.clone(), stop.clone());
        tasks.spawn(async move { background.mailer.run(&until).await });
    }

    /// Writes everything that is counted in memory: the last act of a graceful stop.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
    pub async fn flush(&self) -> Result<(), Error> {
        self.write(true).await
    }

    /// Writes what is counted in memory, as far as it is due; with `is_last`, everything.
    async fn write(&self, is_last: bool) -> Result<(), Error> {
        let now = self.clock.now();
        let used = self.usage.flush(&self.store, now).await;
        let noted = self.denials.flush(&self.store, now).await;
        let counted = self.tally.flush(&self.store, now, is_last).await;
        let mut sealed = Ok(true);
        while matches!(sealed, Ok(true)) {
            sealed = self.store.seal_audit(now, &self.audit_key).await;
        }
        counted.and(used).and(noted).and(sealed.map(drop).map_err(Error::from))
    }

    /// One look at the feed, with the catalog or keys read again where they changed.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
    pub async fn look(&self, follower: &mut Follower) -> Result<(), Error> {
        let look = follower.look(&self.store).await?;
        let reloaded = self.reload(&look.kinds).await;
        match &reloaded {
            Ok(()) => look.confirm(&self.store),
            // What changed must not be forgotten: the next look begins from nothing and reads everything again.
            Err(_) => *follower = Follower::default(),
        }
        reloaded
    }

    /// Reads again what is held whole. Keys first: an API may need a key that is as new as itself.
    async fn reload(&self, kinds: &[EntityKind]) -> Result<(), Error> {
        if kinds.contains(&EntityKind::SigningKeys) {
            self.signing.reload().await?;
            self.changed_again(EntityKind::SigningKeys);
        }
        if kinds.contains(&EntityKind::Catalog) {
            self.catalog.reload().await?;
            let algorithms: Vec<Algorithm> = self.catalog.current().apis.iter().map(|api| api.algorithm).collect();
            self.signing.ensure(self.clock.now(), &algorithms).await?;
            self.changed_again(EntityKind::Catalog);
        }
        Ok(())
    }

    /// What was derived between the change and the reading above came from the old set.
    fn changed_again(&self, kind: EntityKind) {
        self.store.freshness().apply([Entity::new(kind, "")]);
    }

    async fn follow(&self, stop: CancellationToken) {
        let mut follower = Follower::default();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        while !ended(&stop, &mut ticks).await {
            let looked = self.look(&mut follower).await;
            if let Err(error) = &looked
                && !failing
            {
                tracing::warn!(%error, "the changes feed cannot be read: cached answers are not trusted");
            } else if looked.is_ok() && failing {
                tracing::info!("the changes feed is read again");
            }
            failing = looked.is_err();
            if failing {
                self.failures.with("follow", Count::one);
            }
        }
    }

    async fn every(&self, period: Duration, stop: CancellationToken, what: &'static str) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !ended(&stop, &mut ticks).await {
            let done = match what {
                "flush" => self.write(false).await,
                _ => self.tend().await,
            };
            if let Err(error) = done {
                self.failures.with(what, Count::one);
                tracing::warn!(%error, what, "background work failed and will be tried again");
            }
        }
    }

    async fn tend(&self) -> Result<(), Error> {
        let now = self.clock.now();
        // Whoever copies the file alone misses a minute at most, and nothing lives in the log for weeks.
        self.store.checkpoint().await?;
        self.signing.tend(now).await?;
        while self.store.sweep(now, self.audit_seconds).await? {
            tokio::task::yield_now().await;
        }
        self.census.go_on(&self.store, now).await
    }
}

async fn ended(stop: &CancellationToken, ticks: &mut tokio::time::Interval) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        _ = ticks.tick() => false,
    }
}
