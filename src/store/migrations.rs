//! Owns the schema's history: each migration runs once, in order, also when two nodes start together. Has no way back.

use rusqlite::{Connection, TransactionBehavior};
use sqlx::{AssertSqlSafe, PgPool};

use super::error::Error;

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
    (19, include_str!("../../migrations/0019_denied_request.sql")),
];
const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY)";
/// One node migrates at a time: a number of our own for PostgreSQL's advisory locks.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7166482901)";

fn pending(version: i64) -> Result<impl Iterator<Item = &'static (i64, &'static str)>, Error> {
    let newest = MIGRATIONS[MIGRATIONS.len() - 1].0;
    if version > newest {
        return Err(Error::Unavailable(format!(
            "the database has schema {version}, this grantd knows up to {newest}: run a newer grantd"
        )));
    }
    Ok(MIGRATIONS.iter().filter(move |(number, _)| *number > version))
}

pub(super) fn sqlite(connection: &mut Connection) -> Result<(), Error> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(TABLE)?;
    let version: Option<i64> = tx.query_row("SELECT MAX(version) FROM schema_migrations", [], |row| row.get(0))?;
    for (number, sql) in pending(version.unwrap_or(0))? {
        tx.execute_batch(sql)?;
        tx.execute("INSERT INTO schema_migrations (version) VALUES (?1)", [number])?;
    }
    Ok(tx.commit()?)
}

pub(super) async fn postgres(pool: &PgPool) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    sqlx::query(LOCK).execute(&mut *tx).await?;
    sqlx::query(TABLE).execute(&mut *tx).await?;
    let version: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM schema_migrations").fetch_one(&mut *tx).await?;
    for (number, sql) in pending(version.unwrap_or(0))? {
        sqlx::raw_sql(AssertSqlSafe(*sql)).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO schema_migrations (version) VALUES ($1)").bind(number).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}
