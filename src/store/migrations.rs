//! Owns schema migrations: each runs once, in order, even when two nodes start together. There is no downgrade.

use rusqlite::Connection;
use sqlx::{AssertSqlSafe, PgPool};

use super::{Store, error::Error};

const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../migrations/0001_initial.sql")),
    (2, include_str!("../../migrations/0002_plans.sql")),
    (3, include_str!("../../migrations/0003_routes.sql")),
    (4, include_str!("../../migrations/0004_key_life.sql")),
    (5, include_str!("../../migrations/0005_usage.sql")),
    (6, include_str!("../../migrations/0006_idempotency.sql")),
    (7, include_str!("../../migrations/0007_audit_chain.sql")),
    (8, include_str!("../../migrations/0008_lists.sql")),
    (9, include_str!("../../migrations/0009_project_state.sql")),
    (10, include_str!("../../migrations/0010_consent_seen.sql")),
    (11, include_str!("../../migrations/0011_refresh_audit.sql")),
    (13, include_str!("../../migrations/0013_returns.sql")),
    (16, include_str!("../../migrations/0016_hints.sql")),
    (19, include_str!("../../migrations/0019_denied_request.sql")),
    (20, include_str!("../../migrations/0020_opaque_keys.sql")),
    (21, include_str!("../../migrations/0021_lists.sql")),
    (22, include_str!("../../migrations/0022_live_grants.sql")),
    (23, include_str!("../../migrations/0023_oldest_grants.sql")),
    (24, include_str!("../../migrations/0024_management_keys.sql")),
    (25, include_str!("../../migrations/0025_session_methods.sql")),
    (27, include_str!("../../migrations/0027_profiles.sql")),
];
const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY)";
/// One node migrates at a time. An arbitrary number for PostgreSQL's advisory locks.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7166482901)";

const DONE: &str = "SELECT version FROM schema_migrations";

/// Migrations that have not run yet, in order. Each is tracked by number, since branches may add theirs in any order.
fn pending(done: &[i64]) -> Result<impl Iterator<Item = &'static (i64, &'static str)>, Error> {
    let newest = MIGRATIONS.iter().map(|(number, _)| *number).max().unwrap_or_default();
    if let Some(version) = done.iter().copied().max().filter(|version| *version > newest) {
        return Err(Error::Setup(format!(
            "the database has schema {version}, this grantd supports up to {newest}; run a newer grantd"
        )));
    }
    Ok(MIGRATIONS.iter().filter(|(number, _)| !done.contains(number)))
}

/// State of a database's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its newest migration; 0 if there is none.
    pub version: i64,
    /// The newest migration of this program.
    pub newest_known: i64,
    /// How many migrations of this program the database lacks.
    pub missing: usize,
}

impl Schema {
    fn of(done: &[i64]) -> Self {
        Self {
            version: done.iter().copied().max().unwrap_or(0),
            newest_known: MIGRATIONS.iter().map(|(number, _)| *number).max().unwrap_or(0),
            missing: MIGRATIONS.iter().filter(|(number, _)| !done.contains(number)).count(),
        }
    }
}

impl Store {
    /// State of the schema. An empty database is at version 0.
    pub async fn schema(&self) -> Result<Schema, Error> {
        let exists = match self.is_embedded() {
            true => "SELECT COUNT(*) FROM sqlite_master WHERE name = 'schema_migrations'",
            false => {
                "SELECT COUNT(*) FROM pg_tables WHERE tablename = 'schema_migrations'
                 AND schemaname = CURRENT_SCHEMA()"
            }
        };
        if self.one::<i64>(exists, &[]).await? == 0 {
            return Ok(Schema::of(&[]));
        }
        Ok(Schema::of(&self.list::<i64>(DONE, &[]).await?))
    }
}

/// Runs within the caller's transaction.
pub(super) fn sqlite(tx: &Connection) -> Result<(), Error> {
    tx.execute_batch(TABLE)?;
    let done: Vec<i64> = tx.prepare(DONE)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for (number, sql) in pending(&done)? {
        tx.execute_batch(sql)?;
        tx.execute("INSERT INTO schema_migrations (version) VALUES (?1)", [number])?;
    }
    Ok(())
}

pub(super) async fn postgres(pool: &PgPool) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    // Changing millions of rows takes longer than the limit for requests.
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
    sqlx::query(LOCK).execute(&mut *tx).await?;
    sqlx::query(TABLE).execute(&mut *tx).await?;
    let done: Vec<i64> = sqlx::query_scalar(DONE).fetch_all(&mut *tx).await?;
    for (number, sql) in pending(&done)? {
        sqlx::raw_sql(AssertSqlSafe(*sql)).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO schema_migrations (version) VALUES ($1)").bind(number).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}
