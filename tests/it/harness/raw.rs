//! Owns reading and breaking the database directly, for what cannot be done by HTTP.

use std::{fs, path::Path};

use rusqlite::{Connection, types::ValueRef};
use sqlx::{AssertSqlSafe, PgPool, Row};

use super::{database::Database, wait::PATIENCE};

impl Database {
    /// Runs statements.
    pub async fn run(&self, sql: &str) {
        match self.file() {
            Some(connection) => connection.execute_batch(sql).expect("statements"),
            None => {
                let pool = self.pool().await;
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&pool).await.expect("statements");
                pool.close().await;
            }
        }
    }

    /// The first column of a query, as text; NULL is "NULL".
    pub async fn column(&self, sql: &str) -> Vec<String> {
        match self.file() {
            Some(connection) => lines(&connection, sql).into_iter().filter_map(|row| row.into_iter().next()).collect(),
            None => {
                let pool = self.pool().await;
                let sql = format!("SELECT CAST(c AS TEXT) FROM ({sql}) AS t (c)");
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&pool).await.expect("rows");
                pool.close().await;
                rows.iter().map(|row| row.get::<Option<String>, _>(0).unwrap_or_else(|| "NULL".to_owned())).collect()
            }
        }
    }

    /// Every value of every table, and with SQLite the files themselves: what the database alone reveals.
    pub async fn dump(&self) -> String {
        let mut out = self.dump_tables().await;
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            for file in [path.to_owned(), format!("{path}-wal")] {
                let bytes = if Path::new(&file).exists() { fs::read(&file).expect("a file") } else { Vec::new() };
                out.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        out
    }

    /// Every value of every table, in a fixed order.
    pub async fn dump_tables(&self) -> String {
        let mut out = Vec::new();
        for table in self.tables().await {
            match self.file() {
                Some(connection) => {
                    let rows = lines(&connection, &format!("SELECT * FROM {table}"));
                    out.extend(rows.into_iter().map(|row| format!("{table}\t{}\n", row.join("\t"))));
                }
                None => {
                    let rows = self.column(&format!("SELECT CAST(r AS TEXT) FROM {table} AS r")).await;
                    out.extend(rows.into_iter().map(|row| format!("{table}\t{row}\n")));
                }
            }
        }
        out.sort_unstable();
        out.concat()
    }

    async fn tables(&self) -> Vec<String> {
        self.column(if self.is_postgres() {
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        } else {
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        })
        .await
    }

    fn file(&self) -> Option<Connection> {
        let connection = Connection::open(self.url.strip_prefix("sqlite:")?).expect("the database");
        connection.busy_timeout(PATIENCE).expect("a wait");
        Some(connection)
    }

    async fn pool(&self) -> PgPool {
        PgPool::connect(&self.url).await.expect("the database")
    }
}

fn lines(connection: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(sql).expect("a query");
    let columns = statement.column_count();
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
    };
    let rows = statement
        .query_map([], |row| (0..columns).map(|at| Ok(text(row.get_ref(at)?))).collect())
        .expect("rows")
        .collect::<Result<_, _>>();
    rows.expect("rows")
}
