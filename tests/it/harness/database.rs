//! Owns a database per test: an SQLite file in a directory of its own, or with GRANTD_TEST_POSTGRES (the URL of a server,
//! set by tests/run) a PostgreSQL database of its own. Does not delete databases; the throwaway server goes as a whole.

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
    /// Where files of the test may go; removed with it.
    pub dir: TempDir,
}

impl Database {
    /// Of the engine this run is for.
    pub async fn new() -> Self {
        match env::var("GRANTD_TEST_POSTGRES") {
            Ok(server) => Self { url: postgres(&server).await, dir: TempDir::new().expect("a directory") },
            Err(_) => Self::sqlite(),
        }
    }

    /// An SQLite file, whatever this run is for.
    pub fn sqlite() -> Self {
        let dir = TempDir::new().expect("a directory");
        Self { url: format!("sqlite:{}", dir.path().join("grantd.db").display()), dir }
    }

    /// On the PostgreSQL server of tests/run, whatever this run is for.
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

/// A database, opened beside whatever else uses it, by one whom no machine is too slow for.
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
