//! Owns all the SQL, one text for both engines, one file per record. What belongs here: statements, rows, transactions
//! and migrations. Not here: decisions about a request, or state that outlives a method, such as an open transaction.

mod activity;
mod apis;
mod around;
mod audit;
mod audit_chain;
mod batch;
mod bounds;
mod bulk;
mod census;
mod changes;
mod clients;
mod consents;
mod denials;
mod error;
mod grant_limit;
mod grant_state;
mod grants;
mod idempotency;
mod imports;
mod interactions;
mod key_changes;
mod keys;
mod lists;
mod meta;
mod meter;
mod migrations;
mod plans;
mod postgres;
mod profiles;
mod projects;
mod purge;
mod read;
mod return_paths;
mod row;
mod rules;
mod sessions;
mod signing_keys;
mod sqlite;
mod statement;
mod tokens;
mod tx;
mod usage;
mod users;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::OptionalExtension;
use sqlx::PgPool;
use tokio::{sync::oneshot, time::timeout};

pub use around::StoredResponse;
pub use audit::AuditEntry;
pub use audit_chain::{ChainPosition, SealedEntry};
pub use bounds::Bounds;
pub use bulk::Issued;
pub use census::{CensusPage, GRANT_STATES, KEY_STATES};
pub use changes::ChangeFeed;
pub use clients::ClientChanges;
pub use error::Error;
pub use grant_state::TokenState;
pub use grants::{Redemption, Rotation};
pub use idempotency::SealedResponse;
pub use imports::{ImportBatch, ImportOutcome, ImportProgress, ImportedKey};
pub use interactions::Interaction;
pub use key_changes::{KeyChanges, Replacement};
pub use keys::KeyRecord;
pub use lists::{AuditFilter, DenialFilter, Found, KeyFilter, Listed, Position};
pub use meter::{Connections, Operation, StoreMeter};
pub use migrations::Schema;
pub use profiles::StoredProfile;
pub use projects::{ProjectChanges, ProjectKeys};
pub use return_paths::LoginReason;
pub use rules::{NewRules, RulePlace};
pub use sessions::{NewSession, SessionLine, SessionRecord};
pub use signing_keys::SigningKeyRow;
pub use usage::KeyUse;
pub use users::NewUser;

use self::{
    around::Around,
    meter::Meter,
    sqlite::Sqlite,
    tx::{Body, Handle, Tx},
};
use crate::{
    cache::Freshness,
    model::{clock::Timestamp, error::Error as ModelError},
};

/// How often PostgreSQL may end a transaction for the sake of another until its caller is told to try again.
const ATTEMPTS_MAX: usize = 3;

/// The database, of either engine.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Arc<Engine>,
    freshness: Arc<Freshness>,
    meter: Meter,
    wait: Duration,
    around: Around,
}

#[derive(Debug)]
enum Engine {
    Sqlite(Sqlite),
    Postgres(PgPool),
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…` and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::open_with(url, Bounds::default(), |_| Ok(None)).await
    }

    /// As [`Self::open`]. If an embedded database has no master key fingerprint yet, `fingerprint` is called within the
    /// migration transaction, so two concurrent starts agree and a crash leaves all or nothing. Its argument is whether
    /// the database was empty.
    pub async fn open_with(
        url: &str,
        bounds: Bounds,
        fingerprint: impl FnOnce(bool) -> Result<Option<String>, ModelError>,
    ) -> Result<Self, Error> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Self::embedded(path, bounds, |tx| migrate(tx, fingerprint));
        }
        let (pool, place) = postgres::connect(url, bounds.wait).await?;
        let migrated = migrations::postgres(&pool).await;
        migrated.map_err(|error| error.at_start(&format!("{place}: cannot migrate the database")))?;
        Ok(Self::of(Engine::Postgres(pool), bounds.wait))
    }

    /// Opens an existing database without migrating its schema. For data that every schema version has.
    pub async fn open_as_it_is(url: &str, bounds: Bounds) -> Result<Self, Error> {
        match url.strip_prefix("sqlite:") {
            Some(path) => Self::embedded(path, bounds, |_| Ok(())),
            None => Ok(Self::of(Engine::Postgres(postgres::connect(url, bounds.wait).await?.0), bounds.wait)),
        }
    }

    fn embedded(
        path: &str,
        bounds: Bounds,
        migrate: impl FnOnce(&rusqlite::Connection) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let (freshness, meter) = (Arc::new(Freshness::default()), Meter::default());
        let (feed, counts) = (Arc::clone(&freshness), Arc::clone(&meter));
        let opened = Sqlite::open(Path::new(path), bounds, migrate, feed, counts);
        let engine = Engine::Sqlite(opened.map_err(|error| error.at_start(&format!("cannot open {path}")))?);
        Ok(Self { freshness, meter, ..Self::of(engine, bounds.wait) })
    }

    fn of(engine: Engine, wait: Duration) -> Self {
        let (engine, freshness, meter) = (Arc::new(engine), Arc::default(), Meter::default());
        Self { engine, freshness, meter, wait, around: Around::default() }
    }

    /// Copies the write-ahead log of an embedded database into its file. PostgreSQL does this itself.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.checkpoint().await,
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Opens an existing database read-only, without migrating its schema. Writes are refused.
    pub async fn look(url: &str) -> Result<Self, Error> {
        let bounds = Bounds::default();
        let engine = match url.strip_prefix("sqlite:") {
            Some(path) => Engine::Sqlite(Sqlite::look(Path::new(path), bounds)?),
            None => Engine::Postgres(postgres::connect(url, bounds.wait).await?.0),
        };
        Ok(Self::of(engine, bounds.wait))
    }

    fn is_embedded(&self) -> bool {
        matches!(&*self.engine, Engine::Sqlite(_))
    }

    /// Longest wait for a read or write.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// The freshness of cached answers on this node.
    pub fn freshness(&self) -> &Arc<Freshness> {
        &self.freshness
    }

    /// Metrics of this database.
    pub fn meter(&self) -> &StoreMeter {
        &self.meter
    }

    /// The current number of connections.
    pub fn connections(&self) -> Connections {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.connections(),
            Engine::Postgres(pool) => {
                let (size, idle) = (usize::try_from(pool.size()).unwrap_or_default(), pool.num_idle());
                Connections { busy: size.saturating_sub(idle), idle, most: postgres::CONNECTIONS as usize }
            }
        }
    }

    /// Copies the database to a new file while it is in use.
    pub fn backup(&self, target: &Path) -> Result<(), Error> {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.backup(target),
            Engine::Postgres(_) => Err(Error::Setup(
                "backup only works with the embedded database; use pg_dump or base backups for PostgreSQL".to_owned(),
            )),
        }
    }

    /// Checks that the database responds.
    pub async fn ping(&self) -> Result<(), Error> {
        self.find::<i64>("SELECT seq FROM feed WHERE id = 1", &[]).await.map(drop)
    }

    /// Runs `body` in a transaction and appends its changes to the feed. Returns after the commit. PostgreSQL may end a
    /// transaction for the sake of another; then the whole body runs again, a few times at most.
    async fn write<T, F>(&self, now: Timestamp, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
    {
        let (_writing, began) = (self.meter.writing.enter(), Instant::now());
        let written = match &*self.engine {
            Engine::Sqlite(sqlite) => write_sqlite(sqlite, now, self.wait, self.around.clone(), body).await,
            Engine::Postgres(pool) => {
                let work = async {
                    for _ in 1..ATTEMPTS_MAX {
                        match self.attempt(pool, now, body.clone()).await {
                            Err(Error::Aborted(_)) => {}
                            done => return done,
                        }
                    }
                    self.attempt(pool, now, body).await
                };
                timeout(self.wait, work).await.unwrap_or_else(|_| Err(timed_out()))
            }
        };
        self.meter.write.done(began, &written);
        written
    }

    async fn attempt<T, F>(&self, pool: &PgPool, now: Timestamp, body: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T>,
    {
        let mut tx = Tx::new(Handle::Postgres(pool.begin().await?));
        let value = tx.run(now, &self.around, body).await?;
        let committing = Instant::now();
        let committed = tx.commit().await;
        self.meter.commit.done(committing, &committed);
        self.freshness.apply(committed?);
        Ok(value)
    }
}

async fn write_sqlite<T, F>(
    sqlite: &Sqlite,
    now: Timestamp,
    wait: Duration,
    around: Around,
    body: F,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Send + 'static,
{
    let (done, told) = oneshot::channel();
    sqlite.submit(Box::new(move |tx| {
        // If the caller timed out before the job began, it was told that nothing happened: skip the job.
        if done.is_closed() {
            return (Err(()), Box::new(drop));
        }
        let value = tx::run_ready(Box::pin(async {
            tx.begin();
            tx.run(now, &around, body).await
        }));
        let kept = value.as_ref().map(drop).map_err(drop);
        let ack = Box::new(move |committed: Result<(), Error>| {
            // The caller may have timed out; the commit remains valid.
            drop(done.send(committed.and(value)));
        });
        (kept, ack)
    }))?;
    let stopped = |_| Error::Unavailable("the writer could not begin a transaction".to_owned());
    timeout(wait, told).await.map_err(|_| timed_out())?.map_err(stopped)?
}

fn timed_out() -> Error {
    Error::Unavailable("the database did not answer in time".to_owned())
}

/// Brings the schema up to date, and stores the master key's fingerprint if there is none.
fn migrate(
    tx: &rusqlite::Connection,
    fingerprint: impl FnOnce(bool) -> Result<Option<String>, ModelError>,
) -> Result<(), Error> {
    let is_empty = !tx.prepare("SELECT 1 FROM sqlite_schema")?.exists([])?;
    let known = match is_empty {
        true => None,
        false => tx.query_row("SELECT value FROM meta WHERE name = 'master_key'", [], |row| row.get(0)).optional()?,
    };
    let given = match known {
        Some(known) => Some(known),
        None => fingerprint(is_empty)?,
    };
    migrations::sqlite(tx)?;
    if let Some(given) = given {
        let keep = "INSERT INTO meta (name, value) VALUES ('master_key', ?1) ON CONFLICT (name) DO NOTHING";
        tx.execute(keep, [given])?;
    }
    Ok(())
}
