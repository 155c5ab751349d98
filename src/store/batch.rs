//! Owns statements for many rows of values, written in SQL as `VALUES ($1, $2, …)`. On PostgreSQL each statement is a
//! round trip, so one statement takes many rows. SQLite runs in-process and repeats its prepared statement.

use super::{
    Engine, Error, Store,
    row::{Bind, Read},
    tx::{Handle, Tx},
};

/// Rows per statement.
const ROWS_MAX: usize = 100;

impl Tx {
    /// Runs a statement for each of these rows of values. Returns the number of rows changed.
    pub(super) async fn execute_each(&mut self, sql: &'static str, rows: &[Vec<Bind<'_>>]) -> Result<u64, Error> {
        let mut changed = 0;
        for chunk in rows.chunks(self.rows_at_once()) {
            changed += match chunk {
                [row] => self.execute(sql, row).await?,
                rows => self.execute(with_rows(sql, rows), &rows.concat()).await?,
            };
        }
        Ok(changed)
    }

    /// All rows that a statement selects or returns for these rows of values.
    pub(super) async fn list_each<T: Read>(
        &mut self,
        sql: &'static str,
        rows: &[Vec<Bind<'_>>],
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        for chunk in rows.chunks(self.rows_at_once()) {
            found.append(&mut match chunk {
                [row] => self.list(sql, row).await?,
                rows => self.list(with_rows(sql, rows), &rows.concat()).await?,
            });
        }
        Ok(found)
    }

    fn rows_at_once(&self) -> usize {
        match &self.handle {
            Handle::Sqlite(_) => 1,
            Handle::Postgres(_) => ROWS_MAX,
        }
    }
}

impl Store {
    /// All rows that a query selects for these rows of values.
    pub(super) async fn list_each<T: Read>(&self, sql: &'static str, rows: &[Vec<Bind<'_>>]) -> Result<Vec<T>, Error> {
        let at_once = match &*self.engine {
            Engine::Sqlite(_) => 1,
            Engine::Postgres(_) => ROWS_MAX,
        };
        let mut found = Vec::new();
        for chunk in rows.chunks(at_once) {
            found.append(&mut match chunk {
                [row] => self.list(sql, row).await?,
                rows => self.list(with_rows(sql, rows), &rows.concat()).await?,
            });
        }
        Ok(found)
    }
}

/// The statement with one group of placeholders per row.
fn with_rows(sql: &str, rows: &[Vec<Bind<'_>>]) -> String {
    let Some((before, rest)) = sql.split_once("VALUES (") else { return sql.to_owned() };
    let (group, after) = rest.split_once(')').unwrap_or((rest, ""));
    let columns = rows.first().map_or(0, Vec::len);
    let group_of = |row: usize| {
        let place = |part: &str| match part.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()) {
            Some(number) => format!("${}", number + row * columns),
            None => part.to_owned(),
        };
        format!("({})", group.split(", ").map(place).collect::<Vec<_>>().join(", "))
    };
    let groups: Vec<String> = (0..rows.len()).map(group_of).collect();
    format!("{before}VALUES {}{after}", groups.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_rows_have_their_own_placeholders() {
        let rows = vec![vec![Bind::from("a"), Bind::from(1_i64)]; 3];
        assert_eq!(
            with_rows("INSERT INTO t (a, b, c) VALUES ($1, 0, $2) ON CONFLICT (a) DO NOTHING", &rows),
            "INSERT INTO t (a, b, c) VALUES ($1, 0, $2), ($3, 0, $4), ($5, 0, $6) ON CONFLICT (a) DO NOTHING"
        );
        assert_eq!(
            with_rows("UPDATE t SET b = v.column2 FROM (VALUES ($1, $2)) AS v WHERE t.a = v.column1", &rows[..2]),
            "UPDATE t SET b = v.column2 FROM (VALUES ($1, $2), ($3, $4)) AS v WHERE t.a = v.column1"
        );
    }
}
