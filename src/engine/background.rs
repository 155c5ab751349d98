//! Owns background work: polling the changes feed, flushing counts, rotating signing keys, deleting expired rows. Each
//! task ends when cancelled; no response depends on one to be correct.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    catalog::CatalogCache, census::Census, denials::Denials, event_counts::EventCounts, mail::Mailer, signing::Signing,
    usage::Usage,
};
use crate::{
    cache::{Entity, EntityKind},
    meters::{Count, Named},
    model::{api::Algorithm, clock::Clock, error::Error},
    store::{ChangeFeed, Store},
};

/// Interval between polls of the feed. A change on another node is seen within this time plus the poll itself.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// Interval between flushes of counts: a killed process loses at most this much. Counts of floods are written by the
/// hour; see `event_counts`.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
const MAINTAIN_EVERY: Duration = Duration::from_secs(60);

/// The tasks that can fail, by their names in metrics and logs.
pub const TASKS: [&str; 3] = [CHANGES, Task::Flush.as_str(), Task::Maintenance.as_str()];
const CHANGES: &str = "follow";

/// Work repeated at an interval.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// Writing counts.
    Flush,
    /// Rotating signing keys and deleting expired rows.
    Maintenance,
}

impl Task {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Flush => "flush",
            Self::Maintenance => "tend",
        }
    }

    const fn period(self) -> Duration {
        match self {
            Self::Flush => FLUSH_EVERY,
            Self::Maintenance => MAINTAIN_EVERY,
        }
    }
}

/// The dependencies of the tasks.
#[derive(Clone, Debug)]
pub struct Background {
    /// The database.
    pub store: Arc<Store>,
    /// The catalog of APIs.
    pub catalog: Arc<CatalogCache>,
    /// The signing keys.
    pub signing: Arc<Signing>,
    /// Usage counts.
    pub usage: Arc<Usage>,
    /// Event counts.
    pub event_counts: Arc<EventCounts>,
    /// Refused requests.
    pub denials: Arc<Denials>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Outgoing mail.
    pub mailer: Arc<Mailer>,
    /// Counts of keys and grants.
    pub census: Arc<Census>,
    /// The number of failures of each task; see [`TASKS`].
    pub failures: Arc<Named<Count>>,
    /// The key that seals the audit log.
    pub audit_key: hmac::Key,
    /// Retention of an audit entry, in seconds.
    pub audit_seconds: i64,
}

impl Background {
    /// Starts every task; each runs until `stop` is cancelled.
    pub fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        let (background, until) = (self.clone(), stop.clone());
        tasks.spawn(async move { background.poll_changes(until).await });
        let (background, until) = (self.clone(), stop.clone());
        tasks.spawn(async move { background.repeat(Task::Flush, until).await });
        let (background, until) = (self.clone(), stop.clone());
        tasks.spawn(async move { background.repeat(Task::Maintenance, until).await });
        let (background, until) = (self.clone(), stop.clone());
        tasks.spawn(async move { background.mailer.run(&until).await });
    }

    /// Writes all counts held in memory: the last step of a graceful shutdown.
    pub async fn flush(&self) -> Result<(), Error> {
        self.write(true).await
    }

    /// Writes the counts in memory that are due; with `is_last`, all of them.
    async fn write(&self, is_last: bool) -> Result<(), Error> {
        let now = self.clock.now();
        let used = self.usage.flush(&self.store, now).await;
        let noted = self.denials.flush(&self.store, now).await;
        let counted = self.event_counts.flush(&self.store, now, is_last).await;
        let mut sealed = Ok(true);
        while matches!(sealed, Ok(true)) {
            sealed = self.store.seal_audit(now, &self.audit_key).await;
        }
        counted.and(used).and(noted).and(sealed.map(drop).map_err(Error::from))
    }

    /// Polls the feed once, and reloads the catalog or the signing keys if they changed.
    pub async fn poll(&self, feed: &mut ChangeFeed) -> Result<(), Error> {
        let poll = feed.poll(&self.store).await?;
        let reloaded = self.reload(&poll.kinds).await;
        match &reloaded {
            Ok(()) => poll.confirm(&self.store),
            // The change must not be lost: the next poll starts with an empty feed and reloads everything.
            Err(_) => *feed = ChangeFeed::default(),
        }
        reloaded
    }

    /// Reloads data that is cached as a whole. Signing keys come first, because a new API may need a new key.
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

    /// Invalidates entries that were derived from the old data between the change and the reload.
    fn changed_again(&self, kind: EntityKind) {
        self.store.freshness().apply([Entity::new(kind, "")]);
    }

    async fn poll_changes(&self, stop: CancellationToken) {
        let mut feed = ChangeFeed::default();
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        while !ended(&stop, &mut ticks).await {
            let looked = self.poll(&mut feed).await;
            if let Err(error) = &looked
                && !failing
            {
                tracing::warn!(%error, "cannot read the changes feed; not using cached answers");
            } else if looked.is_ok() && failing {
                tracing::info!("the changes feed can be read again");
            }
            failing = looked.is_err();
            if failing {
                self.failures.with(CHANGES, Count::one);
            }
        }
    }

    async fn repeat(&self, task: Task, stop: CancellationToken) {
        let mut ticks = interval(task.period());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !ended(&stop, &mut ticks).await {
            let done = match task {
                Task::Flush => self.write(false).await,
                Task::Maintenance => self.maintain().await,
            };
            if let Err(error) = done {
                self.failures.with(task.as_str(), Count::one);
                tracing::warn!(%error, what = task.as_str(), "background work failed and will be retried");
            }
        }
    }

    async fn maintain(&self) -> Result<(), Error> {
        let now = self.clock.now();
        // A copy of the database file alone lacks a minute at most, and the WAL retains no data for weeks.
        self.store.checkpoint().await?;
        self.signing.maintain(now).await?;
        while self.store.purge_expired(now, self.audit_seconds).await? {
            tokio::task::yield_now().await;
        }
        self.census.advance(&self.store, now).await
    }
}

async fn ended(stop: &CancellationToken, ticks: &mut tokio::time::Interval) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        _ = ticks.tick() => false,
    }
}
