//! Owns statements for many rows of values, written in SQL as `VALUES ($1, $2, …)`. On PostgreSQL each statement is a
//! round trip, so one statement takes many rows. SQLite runs in-process and repeats its prepared statement.

use super::{
    Error, Store,
    row::{Bind, Read},
    tx::{Handle, Sql, Tx},
};

/// Rows per statement.
const ROWS_MAX: usize = 100;

impl Tx {
    /// Runs a statement for each of these rows of values. Returns the number of rows changed.
    pub(super) async fn execute_each(&mut self, sql: &'static str, rows: &[Vec<Bind<'_>>]) -> Result<u64, Error> {
        let mut changed = 0;
        for (sql, binds) in statements(matches!(self.handle, Handle::Sqlite(_)), sql, rows) {
            changed += self.execute(sql, &binds).await?;
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
        for (sql, binds) in statements(matches!(self.handle, Handle::Sqlite(_)), sql, rows) {
            found.extend(self.list(sql, &binds).await?);
        }
        Ok(found)
    }
}

impl Store {
    /// All rows that a query selects for these rows of values.
    pub(super) async fn list_each<T: Read>(&self, sql: &'static str, rows: &[Vec<Bind<'_>>]) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        for (sql, binds) in statements(self.is_embedded(), sql, rows) {
            found.extend(self.list(sql, &binds).await?);
        }
        Ok(found)
    }
}

/// The statements that together cover all rows, each with its values.
fn statements<'q>(
    is_embedded: bool,
    sql: &'static str,
    rows: &[Vec<Bind<'q>>],
) -> impl Iterator<Item = (Sql, Vec<Bind<'q>>)> {
    rows.chunks(if is_embedded { 1 } else { ROWS_MAX }).map(move |rows| (with_rows(sql, rows), rows.concat()))
}

/// The statement with one group of placeholders per row.
fn with_rows(sql: &'static str, rows: &[Vec<Bind<'_>>]) -> Sql {
    let (Some((before, rest)), [first, _, ..]) = (sql.split_once("VALUES ("), rows) else { return sql.into() };
    let (group, after) = rest.split_once(')').unwrap_or((rest, ""));
    let group_of = |row: usize| {
        let place = |part: &str| match part.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()) {
            Some(number) => format!("${}", number + row * first.len()),
            None => part.to_owned(),
        };
        format!("({})", group.split(", ").map(place).collect::<Vec<_>>().join(", "))
    };
    let groups: Vec<String> = (0..rows.len()).map(group_of).collect();
    format!("{before}VALUES {}{after}", groups.join(", ")).into()
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
