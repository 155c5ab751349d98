//! Owns all the SQL, one text for both engines, a file per record. A transaction never leaves a method.

mod activity;
mod answers;
mod apis;
mod audit;
mod audit_chain;
mod census;
mod changes;
mod clients;
mod consents;
mod denials;
mod error;
mod grants;
mod imports;
mod interactions;
mod key_changes;
mod keys;
mod lists;
mod meta;
mod meter;
mod migrations;
mod plans;
mod projects;
mod row;
mod sessions;
mod signing_keys;
mod sqlite;
mod sweep;
mod tokens;
mod tx;
mod usage;
mod users;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{sync::oneshot, time::timeout};

pub use answers::{Answered, KeptAnswer};
pub use apis::RoutePlace;
pub use audit::AuditEntry;
pub use audit_chain::{Link, SealedEntry};
pub use census::{Counted, GRANT_STATES, KEY_STATES};
pub use changes::Follower;
pub use clients::ClientChanges;
pub use error::Error;
pub use grants::{Outcome, Rotation, TokenState};
pub use imports::{Fate, ImportBatch, ImportProgress, ImportedKey};
pub use interactions::Interaction;
pub use key_changes::{KeyChanges, Replacement};
pub use keys::KeyRecord;
pub use lists::{Listed, Position};
pub use meter::{Connections, Operation, StoreMeter};
pub use projects::ProjectChanges;
pub use sessions::{NewSession, SessionRecord};
pub use signing_keys::SigningKeyRow;
pub use usage::KeyUse;
pub use users::NewUser;

use self::{
    meter::Meter,
    row::{Bind, Row},
    sqlite::Sqlite,
    tx::{Body, Handle, Tx},
};
use crate::{cache::Freshness, model::clock::Timestamp};

/// Longest wait for a write or read before the caller is told to try again.
const WAIT: Duration = Duration::from_secs(4);
const POSTGRES_CONNECTIONS: u32 = 16;

/// The database, of either engine.
#[derive(Debug)]
pub struct Store {
    engine: Arc<Engine>,
    freshness: Arc<Freshness>,
    meter: Meter,
    /// Kept with the next write; see [`Self::answering`].
    answer: Option<Arc<KeptAnswer>>,
}

#[derive(Debug)]
enum Engine {
    Sqlite(Sqlite),
    Postgres(PgPool),
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…` and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be reached, opened or migrated.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let (freshness, meter) = (Arc::new(Freshness::default()), Meter::default());
        let engine = match url.strip_prefix("sqlite:") {
            Some(path) => {
                let (feed, meter) = (Arc::clone(&freshness), Arc::clone(&meter));
                Engine::Sqlite(Sqlite::open(Path::new(path), migrations::sqlite, feed, meter)?)
            }
            None => Engine::Postgres(open_postgres(url).await?),
        };
        Ok(Self { engine: Arc::new(engine), freshness, meter, answer: None })
    }

    /// What this node knows of the changes feed.
    #[must_use]
    pub fn freshness(&self) -> &Arc<Freshness> {
        &self.freshness
    }

    /// What is counted of this database.
    #[must_use]
    pub fn meter(&self) -> &StoreMeter {
        &self.meter
    }

    /// The connections of the moment.
    #[must_use]
    pub fn connections(&self) -> Connections {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.connections(),
            Engine::Postgres(pool) => {
                let (size, idle) = (usize::try_from(pool.size()).unwrap_or_default(), pool.num_idle());
                Connections { busy: size.saturating_sub(idle), idle, most: POSTGRES_CONNECTIONS as usize }
            }
        }
    }

    /// Copies the database to a new file while it is in use.
    ///
    /// # Errors
    /// [`Error::Unavailable`] on PostgreSQL, which has its own tools, and when the file cannot be written.
    pub fn backup(&self, target: &Path) -> Result<(), Error> {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.backup(target),
            Engine::Postgres(_) => Err(Error::Unavailable("use pg_dump or base backups for PostgreSQL".to_owned())),
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn ping(&self) -> Result<(), Error> {
        self.row("SELECT seq FROM feed WHERE id = 1", &[]).await.map(drop)
    }

    async fn rows(&self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Vec<Row>, Error> {
        self.rows_of(&self.meter.read, sql, binds).await
    }

    /// Rows, counted as this kind of work.
    async fn rows_of(&self, operation: &Operation, sql: &'static str, binds: &[Bind<'_>]) -> Result<Vec<Row>, Error> {
        let began = Instant::now();
        let rows = match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.rows(sql, binds),
            Engine::Postgres(pool) => {
                let fetch = async { tx::postgres_rows(&tx::bound(sql, binds).fetch_all(pool).await?) };
                timeout(WAIT, fetch).await.unwrap_or_else(|_| Err(late()))
            }
        };
        operation.done(began, &rows);
        rows
    }

    async fn row(&self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, binds).await?.into_iter().next())
    }

    /// Runs `body` in a transaction, with its changes appended to the feed; answers after the commit.
    async fn write<T, F>(&self, now: Timestamp, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Send + 'static,
    {
        let (_writing, began) = (self.meter.writing.enter(), Instant::now());
        let written = match &*self.engine {
            Engine::Sqlite(sqlite) => write_sqlite(sqlite, now, self.answer.clone(), body).await,
            Engine::Postgres(pool) => {
                let work = async {
                    let mut tx = Tx::new(Handle::Postgres(pool.begin().await?));
                    let value = body(&mut tx).await?;
                    tx.keep_answer(now, self.answer.as_deref()).await?;
                    tx.append_changes(now).await?;
                    let committing = Instant::now();
                    let committed = tx.commit().await;
                    self.meter.commit.done(committing, &committed);
                    self.freshness.apply(committed?);
                    Ok(value)
                };
                timeout(WAIT, work).await.unwrap_or_else(|_| Err(late()))
            }
        };
        self.meter.write.done(began, &written);
        written
    }
}

async fn write_sqlite<T, F>(
    sqlite: &Sqlite,
    now: Timestamp,
    answer: Option<Arc<KeptAnswer>>,
    body: F,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Send + 'static,
{
    let (done, told) = oneshot::channel();
    sqlite.submit(Box::new(move |tx| {
        // Whoever gave up waiting before it began was told that nothing happened: so let it be.
        if done.is_closed() {
            return (Err(()), Box::new(drop));
        }
        let value = tx::run_ready(Box::pin(async {
            tx.begin();
            let value = body(tx).await?;
            tx.keep_answer(now, answer.as_deref()).await?;
            tx.append_changes(now).await?;
            Ok(value)
        }));
        let kept = value.as_ref().map(drop).map_err(drop);
        let ack = Box::new(move |committed: Result<(), Error>| {
            // The caller may have given up waiting; the commit stands all the same.
            drop(done.send(committed.and(value)));
        });
        (kept, ack)
    }))?;
    let stopped = |_| Error::Unavailable("the writer could not begin a transaction".to_owned());
    timeout(WAIT, told).await.map_err(|_| late())?.map_err(stopped)?
}

fn late() -> Error {
    Error::Unavailable("the database did not answer in time".to_owned())
}

async fn open_postgres(url: &str) -> Result<PgPool, Error> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|_| Error::Unavailable("the database URL is not sqlite:PATH or postgres://…".to_owned()))?;
    let options = options.application_name("grantd").options([
        ("statement_timeout", "4s"),
        // A node that dies in the middle of a transaction must not hold up the others' feed.
        ("idle_in_transaction_session_timeout", "5s"),
        ("synchronous_commit", "on"),
    ]);
    // The pool would try again until it gives up waiting; a connection of its own says what is wrong.
    timeout(WAIT, options.connect()).await.map_err(|_| late())??.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(Duration::from_secs(3))
        .max_lifetime(Duration::from_secs(1800))
        // A ping before each use would double the reads; a broken connection is noticed by the statement itself.
        .test_before_acquire(false)
        .connect_lazy_with(options);
    migrations::postgres(&pool).await?;
    Ok(pool)
}
