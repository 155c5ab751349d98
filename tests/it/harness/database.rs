//! Owns a database per test: an SQLite file in its own directory, or with GRANTD_TEST_POSTGRES (the URL of a server,
//! set by tests/run) a PostgreSQL database. Databases are not deleted; the throwaway server is removed as a whole.

use std::env;

use grantd::{
    model::secret::random_base62,
    store::{AuditEntry, AuditFilter, Bounds, Error, Position, Store},
};
use tempfile::TempDir;

use super::wait::PATIENCE;

/// A database for one test.
#[derive(Debug)]
pub struct Database {
    pub url: String,
    /// A directory for the test's files; removed with it.
    pub dir: TempDir,
}

impl Database {
    /// Of the engine of this run.
    pub async fn new() -> Self {
        match env::var("GRANTD_TEST_POSTGRES") {
            Ok(server) => Self { url: postgres(&server).await, dir: TempDir::new().expect("a directory") },
            Err(_) => Self::sqlite(),
        }
    }

    /// An SQLite file, whatever the engine of this run.
    pub fn sqlite() -> Self {
        let dir = TempDir::new().expect("a directory");
        Self { url: format!("sqlite:{}", dir.path().join("grantd.db").display()), dir }
    }

    /// On the PostgreSQL server of tests/run, whatever the engine of this run.
    #[cfg(feature = "services")]
    pub async fn postgres() -> Self {
        let server = env::var("GRANTD_TEST_POSTGRES_SERVER").expect("set by tests/run");
        Self { url: postgres(&server).await, dir: TempDir::new().expect("a directory") }
    }

    /// The same database, for another node.
    pub fn same(&self) -> Self {
        Self { url: self.url.clone(), dir: TempDir::new().expect("a directory") }
    }

    /// Whether this run is on PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }
}

/// A database, opened next to other users of it, with timeouts that no machine reaches.
///
/// # Errors
/// As [`Store::open`].
pub async fn open(url: &str) -> Result<Store, Error> {
    Store::open_with(url, Bounds { wait: PATIENCE, ..Bounds::default() }, |_| Ok(None)).await
}

/// The newest audit entries, newest first.
pub async fn entries(store: &Store, limit: usize) -> Vec<AuditEntry> {
    let found = store.audit_after(AuditFilter::default(), Position::start(), limit).await.expect("entries");
    found.entries.into_iter().map(|listed| listed.value).collect()
}

/// A new database on a PostgreSQL server, `postgres://user@host:port`.
pub async fn postgres(server: &str) -> String {
    let name = format!("t_{}", random_base62(16).to_lowercase());
    let pool = sqlx::PgPool::connect(&format!("{server}/postgres")).await.expect("PostgreSQL of tests/run");
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&pool).await.expect("a database");
    pool.close().await;
    format!("{server}/{name}")
}
