//! Owns running a statement with its bound values on a SQLite connection.

use rusqlite::{CachedStatement, Connection};

use super::{
    error::Error,
    row::{Bind, Row},
};

/// Parameter names by position: SQLite numbers named parameters by first appearance, so they are looked up.
const NAMES: [&str; 20] = [
    "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$16", "$17",
    "$18", "$19", "$20",
];

pub(super) fn execute(connection: &Connection, sql: &str, binds: &[Bind<'_>]) -> Result<u64, Error> {
    let mut statement = prepare(connection, sql, binds)?;
    Ok(u64::try_from(statement.raw_execute()?).unwrap_or_default())
}

pub(super) fn rows(connection: &Connection, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, Error> {
    let mut statement = prepare(connection, sql, binds)?;
    let columns = statement.column_count();
    let mut found = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(Row::of_sqlite(row, columns)?);
    }
    Ok(rows)
}

fn prepare<'c>(connection: &'c Connection, sql: &str, binds: &[Bind<'_>]) -> Result<CachedStatement<'c>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    for (name, bind) in NAMES.iter().zip(binds) {
        let at =
            statement.parameter_index(name)?.ok_or(Error::Corrupt("a bound value has no place in the statement"))?;
        match *bind {
            Bind::Text(text) => statement.raw_bind_parameter(at, text)?,
            Bind::Int(number) => statement.raw_bind_parameter(at, number)?,
            Bind::Flag(flag) => statement.raw_bind_parameter(at, flag)?,
        }
    }
    Ok(statement)
}
