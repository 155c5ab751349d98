//! Owns reading outside a transaction.

use std::time::Instant;

use tokio::time::timeout;

use super::{
    Engine, Error, Operation, Store,
    row::{Bind, Read},
    timed_out,
    tx::{self, Sql},
};

impl Store {
    /// All rows that a query selects.
    pub(super) async fn list<T: Read>(&self, sql: impl Into<Sql>, binds: &[Bind<'_>]) -> Result<Vec<T>, Error> {
        self.list_as(&self.meter.read, sql, binds).await
    }

    /// As [`Self::list`], counted as this operation.
    pub(super) async fn list_as<T: Read>(
        &self,
        operation: &Operation,
        sql: impl Into<Sql>,
        binds: &[Bind<'_>],
    ) -> Result<Vec<T>, Error> {
        let began = Instant::now();
        let rows = match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.rows(&sql.into(), binds),
            Engine::Postgres(pool) => {
                let fetch = async { tx::postgres_rows(&tx::bound(sql.into(), binds).fetch_all(pool).await?) };
                timeout(self.wait, fetch).await.unwrap_or_else(|_| Err(timed_out()))
            }
        };
        operation.done(began, &rows);
        rows?.iter_mut().map(T::read).collect()
    }

    /// The first row that a query selects.
    pub(super) async fn find<T: Read>(&self, sql: impl Into<Sql>, binds: &[Bind<'_>]) -> Result<Option<T>, Error> {
        Ok(self.list(sql, binds).await?.into_iter().next())
    }

    /// The row of a query that always returns one, such as a count.
    pub(super) async fn one<T: Read>(&self, sql: &'static str, binds: &[Bind<'_>]) -> Result<T, Error> {
        self.find(sql, binds).await?.ok_or(Error::Corrupt("a row that is always there"))
    }
}
