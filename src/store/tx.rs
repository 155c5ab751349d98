//! Owns a transaction on either engine, with one implementation for both.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use sqlx::{
    AssertSqlSafe, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::{
    around::Around,
    error::Error,
    row::{Bind, Read, Row, binds},
    statement,
};
use crate::{
    cache::{Entity, EntityKind},
    model::clock::Timestamp,
};

/// A statement: a constant, or one built from constants for a given number of values.
pub(super) type Sql = Cow<'static, str>;
/// The future of a transaction's body.
pub(super) type Body<'t, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 't>>;

/// Runs a body in a transaction and waits for its commit; see [`super::Store::write`].
macro_rules! transaction {
    ($store:expr, $now:expr, |$tx:ident| $body:block) => {
        $store.write($now, move |$tx| Box::pin(async move $body)).await
    };
    ($store:expr, $now:expr, |$tx:ident| $body:expr) => {
        $store.write($now, move |$tx| Box::pin(async move { $body })).await
    };
}
pub(super) use transaction;

/// A transaction. Its changes are appended to the feed once its body has succeeded.
pub struct Tx {
    pub(super) handle: Handle,
    changes: Vec<Entity>,
    /// Whether an audit entry was appended, which means that something was changed.
    pub(super) audited: bool,
}

/// The engine's own handle.
pub(super) enum Handle {
    Sqlite(Box<rusqlite::Connection>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl Tx {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, changes: Vec::new(), audited: false }
    }

    /// Starts another job in the same transaction; only for SQLite's writer.
    pub(super) fn begin(&mut self) {
        self.audited = false;
    }

    /// Runs a whole transaction except its commit.
    pub(super) async fn run<T, F>(&mut self, now: Timestamp, around: &Around, body: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Self) -> Body<'t, T>,
    {
        if let Some(session) = &around.session {
            self.check_session(now, session).await?;
        }
        let value = body(self).await?;
        self.store_response(now, around.response.as_deref()).await?;
        self.append_changes(now).await?;
        Ok(value)
    }

    /// Runs a statement and returns the number of rows changed.
    pub(super) async fn execute(&mut self, sql: impl Into<Sql>, binds: &[Bind<'_>]) -> Result<u64, Error> {
        let sql = sql.into();
        match &mut self.handle {
            Handle::Sqlite(connection) => statement::execute(connection, &sql, binds),
            Handle::Postgres(tx) => Ok(bound(sql, binds).execute(&mut **tx).await?.rows_affected()),
        }
    }

    /// All rows that a statement selects or returns.
    pub(super) async fn list<T: Read>(&mut self, sql: impl Into<Sql>, binds: &[Bind<'_>]) -> Result<Vec<T>, Error> {
        let sql = sql.into();
        let mut rows = match &mut self.handle {
            Handle::Sqlite(connection) => statement::rows(connection, &sql, binds)?,
            Handle::Postgres(tx) => postgres_rows(&bound(sql, binds).fetch_all(&mut **tx).await?)?,
        };
        rows.iter_mut().map(T::read).collect()
    }

    /// The first row that a statement selects or returns.
    pub(super) async fn find<T: Read>(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Option<T>, Error> {
        Ok(self.list(sql, binds).await?.into_iter().next())
    }

    /// The row of a statement that always returns one, such as a count.
    pub(super) async fn one<T: Read>(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<T, Error> {
        self.find(sql, binds).await?.ok_or(Error::Corrupt("a row that is always there"))
    }

    /// Records that answers derived from this entity may change with this transaction.
    pub(super) fn touch(&mut self, kind: EntityKind, id: impl Into<Box<str>>) {
        self.changes.push(Entity::new(kind, id));
    }

    /// Appends the changes to the feed. Comes last: the counter's row stays locked until the commit.
    async fn append_changes(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let changes = self.changes.clone();
        let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
        let last: i64 = self.one("UPDATE feed SET seq = seq + $1 WHERE id = 1 RETURNING seq", binds![count]).await?;
        let rows = (last - count + 1..).zip(&changes);
        let rows: Vec<_> = rows.map(|(seq, of)| binds![seq, of.kind.as_str(), &*of.id, now].to_vec()).collect();
        self.execute_each("INSERT INTO changes (seq, kind, entity, at) VALUES ($1, $2, $3, $4)", &rows).await.map(drop)
    }

    pub(super) fn take_changes(&mut self) -> Vec<Entity> {
        std::mem::take(&mut self.changes)
    }

    /// Runs a statement of the engine itself, such as SAVEPOINT; only for SQLite's writer.
    pub(super) fn statement(&mut self, sql: &str) -> Result<(), Error> {
        match &self.handle {
            // A missing transaction here is the result of a full disk, not a bug.
            Handle::Sqlite(connection) => statement::execute(connection, sql, &[])
                .map(drop)
                .map_err(|error| Error::Unavailable(error.to_string())),
            Handle::Postgres(_) => Err(Error::Corrupt("PostgreSQL has its own transactions")),
        }
    }

    /// More memory and fewer checkpoints for bulk writes; PostgreSQL is tuned by its operator.
    pub(super) fn tune_for_bulk(&mut self) -> Result<(), Error> {
        if let Handle::Sqlite(connection) = &self.handle {
            for pragma in ["PRAGMA cache_size = -131072", "PRAGMA wal_autocheckpoint = 8192"] {
                statement::rows(connection, pragma, &[])?;
            }
        }
        Ok(())
    }

    /// Copies the write-ahead log into the database's file, except what readers still need; only for SQLite's writer.
    pub(super) fn checkpoint(&mut self) -> Result<(), Error> {
        if let Handle::Sqlite(connection) = &self.handle {
            statement::rows(connection, "PRAGMA wal_checkpoint(PASSIVE)", &[])?;
        }
        Ok(())
    }

    /// Whether the engine has ended the transaction itself; only for SQLite's writer.
    pub(super) fn has_ended(&self) -> bool {
        matches!(&self.handle, Handle::Sqlite(connection) if connection.is_autocommit())
    }

    pub(super) async fn commit(self) -> Result<Vec<Entity>, Error> {
        if let Handle::Postgres(tx) = self.handle {
            tx.commit().await?;
        }
        Ok(self.changes)
    }
}

/// Runs a body that never waits: on SQLite every statement is complete when it returns.
pub(super) fn run_ready<T>(body: Body<'_, T>) -> Result<T, Error> {
    match pin!(body).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::Corrupt("a transaction waited for something other than its store")),
    }
}

pub(super) fn bound<'q>(sql: Sql, binds: &[Bind<'q>]) -> Query<'q, Postgres, PgArguments> {
    let query = match sql {
        Sql::Borrowed(sql) => sqlx::query(sql),
        // Built from a constant by `batch` only, for a varying number of rows.
        Sql::Owned(sql) => sqlx::query(AssertSqlSafe(sql)).persistent(false),
    };
    binds.iter().fold(query, |query, bind| match *bind {
        Bind::Text(text) => query.bind(text),
        Bind::Int(number) => query.bind(number),
        Bind::Flag(flag) => query.bind(flag),
    })
}

pub(super) fn postgres_rows(rows: &[PgRow]) -> Result<Vec<Row>, Error> {
    rows.iter().map(Row::of_postgres).collect()
}
