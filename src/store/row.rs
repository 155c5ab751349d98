//! Owns converting values to and from either engine, and reading a record from its columns.

use sqlx::{Column as _, Row as _, TypeInfo, postgres::PgRow};

use super::error::Error;
use crate::model::{clock::Timestamp, scope::Scopes};

/// A value bound to a statement. A missing value keeps its type, which PostgreSQL requires.
#[derive(Clone, Copy, Debug)]
pub enum Bind<'q> {
    /// TEXT.
    Text(Option<&'q str>),
    /// BIGINT.
    Int(Option<i64>),
    /// BOOLEAN.
    Flag(bool),
}

impl<'q> From<&'q str> for Bind<'q> {
    fn from(text: &'q str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'q> From<&'q String> for Bind<'q> {
    fn from(text: &'q String) -> Self {
        Self::Text(Some(text))
    }
}

impl<'q> From<Option<&'q str>> for Bind<'q> {
    fn from(text: Option<&'q str>) -> Self {
        Self::Text(text)
    }
}

impl<'q> From<&'q Option<String>> for Bind<'q> {
    fn from(text: &'q Option<String>) -> Self {
        Self::Text(text.as_deref())
    }
}

impl From<i64> for Bind<'_> {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Bind<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<Timestamp> for Bind<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Int(Some(at.0))
    }
}

impl From<Option<Timestamp>> for Bind<'_> {
    fn from(at: Option<Timestamp>) -> Self {
        Self::Int(at.map(|at| at.0))
    }
}

impl From<bool> for Bind<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// The values of a statement, in the order of `$1`, `$2`, ….
macro_rules! binds {
    ($($value:expr),* $(,)?) => { &[$($crate::store::row::Bind::from($value)),*] };
}
pub(super) use binds;

/// The value of a column.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Text(String),
    Int(i64),
}

/// A row from either engine. Its columns are read in the order of the statement, each once.
#[derive(Debug)]
pub(super) struct Row(std::vec::IntoIter<Value>);

/// A type that is read from the next columns of a row: a column, a tuple of such types, or a record.
pub(super) trait Read: Sized {
    fn read(row: &mut Row) -> Result<Self, Error>;
}

/// A type that is read from one column.
pub(super) trait Column: Sized {
    fn of(value: Value) -> Result<Self, Error>;
}

impl<T: Column> Read for T {
    fn read(row: &mut Row) -> Result<Self, Error> {
        T::of(row.0.next().ok_or(Error::Corrupt("a column is missing"))?)
    }
}

macro_rules! tuples {
    ($(($($part:ident),+))*) => { $(
        impl<$($part: Read),+> Read for ($($part),+) {
            fn read(row: &mut Row) -> Result<Self, Error> {
                Ok(($($part::read(row)?),+))
            }
        }
    )* };
}
tuples!((A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E)(A, B, C, D, E, F)(A, B, C, D, E, F, G));

impl<T: Column> Column for Option<T> {
    fn of(value: Value) -> Result<Self, Error> {
        match value {
            Value::Null => Ok(None),
            value => T::of(value).map(Some),
        }
    }
}

impl Column for String {
    fn of(value: Value) -> Result<Self, Error> {
        match value {
            Value::Text(text) => Ok(text),
            _ => Err(Error::Corrupt("a text was expected")),
        }
    }
}

impl Column for i64 {
    fn of(value: Value) -> Result<Self, Error> {
        match value {
            Value::Int(number) => Ok(number),
            _ => Err(Error::Corrupt("a number was expected")),
        }
    }
}

impl Column for u16 {
    fn of(value: Value) -> Result<Self, Error> {
        i64::of(value)?.try_into().map_err(|_| Error::Corrupt("a number is out of range"))
    }
}

impl Column for u32 {
    fn of(value: Value) -> Result<Self, Error> {
        i64::of(value)?.try_into().map_err(|_| Error::Corrupt("a number is out of range"))
    }
}

impl Column for bool {
    /// SQLite stores them as numbers.
    fn of(value: Value) -> Result<Self, Error> {
        Ok(i64::of(value)? != 0)
    }
}

impl Column for Timestamp {
    fn of(value: Value) -> Result<Self, Error> {
        i64::of(value).map(Self)
    }
}

impl Column for Scopes {
    fn of(value: Value) -> Result<Self, Error> {
        Ok(words(&String::of(value)?).map(ToOwned::to_owned).collect())
    }
}

impl Column for Vec<String> {
    fn of(value: Value) -> Result<Self, Error> {
        Ok(words(&String::of(value)?).map(ToOwned::to_owned).collect())
    }
}

/// The words of a space-delimited value.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

/// For a time since which something is disabled: true if there is none.
pub(super) fn is_unset(since: Option<Timestamp>) -> bool {
    since.is_none()
}

/// For values stored one per line.
#[expect(clippy::needless_pass_by_value, reason = "a column's value is handed over")]
pub(super) fn lines(text: String) -> Vec<String> {
    text.lines().map(ToOwned::to_owned).collect()
}

/// Implements reading for a type that is stored as text.
macro_rules! column {
    ($type:ty, $parse:expr, $what:literal) => {
        impl $crate::store::row::Column for $type {
            fn of(value: $crate::store::row::Value) -> Result<Self, $crate::store::Error> {
                let text = <String as $crate::store::row::Column>::of(value)?;
                let parse: fn(&str) -> Option<$type> = $parse;
                parse(&text).ok_or($crate::store::Error::Corrupt($what))
            }
        }
    };
}
pub(super) use column;

/// A record: each field with its column, in one list. The macro named `$columns` expands to the columns for a
/// statement; a statement that selects them first can be read as the record. `=> with` converts the column's value to
/// the field's; fields after the semicolon have other sources.
macro_rules! record {
    (
        $columns:ident: $record:ident {
            $first:ident: $first_column:expr $(, $field:ident: $column:expr $(=> $with:path)?)* $(,)?
            $(; $($extra:ident: $value:expr),*)?
        }
    ) => {
        macro_rules! $columns {
            () => { concat!($first_column $(, ", ", $column)*) };
        }

        impl $crate::store::row::Read for $record {
            fn read(row: &mut $crate::store::row::Row) -> Result<Self, $crate::store::Error> {
                Ok(Self {
                    $first: $crate::store::row::Read::read(row)?,
                    $($field: $crate::store::row::field!(row $($with)?),)*
                    $($($extra: $value),*)?
                })
            }
        }
    };
}
pub(super) use record;

macro_rules! field {
    ($row:ident) => {
        $crate::store::row::Read::read($row)?
    };
    ($row:ident $with:path) => {
        $with($crate::store::row::Read::read($row)?)
    };
}
pub(super) use field;

impl Row {
    pub(super) fn of_sqlite(row: &rusqlite::Row<'_>, columns: usize) -> Result<Self, Error> {
        use rusqlite::types::ValueRef;
        let value = |column| -> Result<Value, Error> {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Int(number),
                ValueRef::Text(text) => {
                    Value::Text(String::from_utf8(text.to_vec()).map_err(|_| Error::Corrupt("text is not UTF-8"))?)
                }
                ValueRef::Real(_) | ValueRef::Blob(_) => return Err(Error::Corrupt("a type that is not used")),
            })
        };
        Ok(Self((0..columns).map(value).collect::<Result<Vec<_>, _>>()?.into_iter()))
    }

    pub(super) fn of_postgres(row: &PgRow) -> Result<Self, Error> {
        let value = |column: &sqlx::postgres::PgColumn| -> Result<Value, Error> {
            let at = column.ordinal();
            Ok(match column.type_info().name() {
                "TEXT" => row.try_get::<Option<String>, _>(at)?.map_or(Value::Null, Value::Text),
                "INT8" => row.try_get::<Option<i64>, _>(at)?.map_or(Value::Null, Value::Int),
                "BOOL" => row.try_get::<Option<bool>, _>(at)?.map_or(Value::Null, |flag| Value::Int(flag.into())),
                _ => return Err(Error::Corrupt("a type that is not used")),
            })
        };
        Ok(Self(row.columns().iter().map(value).collect::<Result<Vec<_>, _>>()?.into_iter()))
    }
}
