//! Owns values on their way in and out of either engine.

use sqlx::{Column, Row as _, TypeInfo, postgres::PgRow};

use super::error::Error;
use crate::model::{clock::Timestamp, scope::Scopes};

/// A value bound to a statement. A missing value keeps its type, which PostgreSQL wants to know.
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

#[derive(Debug)]
enum Value {
    Null,
    Text(String),
    Int(i64),
}

/// A row of either engine; columns by position, in the order of the statement.
#[derive(Debug)]
pub struct Row(Vec<Value>);

impl Row {
    /// A NOT NULL text.
    pub fn text(&mut self, column: usize) -> Result<String, Error> {
        self.opt_text(column)?.ok_or(Error::Corrupt("a text is missing"))
    }

    /// A text.
    pub fn opt_text(&mut self, column: usize) -> Result<Option<String>, Error> {
        match self.0.get_mut(column).map(|value| std::mem::replace(value, Value::Null)) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(Error::Corrupt("a text was expected")),
        }
    }

    /// A NOT NULL number.
    pub fn int(&self, column: usize) -> Result<i64, Error> {
        self.opt_int(column)?.ok_or(Error::Corrupt("a number is missing"))
    }

    /// A number.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, Error> {
        match self.0.get(column) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            _ => Err(Error::Corrupt("a number was expected")),
        }
    }

    /// A truth value; SQLite keeps them as numbers.
    pub fn flag(&self, column: usize) -> Result<bool, Error> {
        Ok(self.int(column)? != 0)
    }

    /// A moment.
    pub fn at(&self, column: usize) -> Result<Timestamp, Error> {
        self.int(column).map(Timestamp)
    }

    /// A moment that may be missing.
    pub fn opt_at(&self, column: usize) -> Result<Option<Timestamp>, Error> {
        Ok(self.opt_int(column)?.map(Timestamp))
    }

    /// A set of scopes, stored space-delimited.
    pub fn scopes(&mut self, column: usize) -> Result<Scopes, Error> {
        Ok(split(&self.text(column)?).into_iter().collect())
    }

    /// Words, stored space-delimited.
    pub fn list(&mut self, column: usize) -> Result<Vec<String>, Error> {
        Ok(split(&self.text(column)?))
    }

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
        (0..columns).map(value).collect::<Result<_, _>>().map(Self)
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
        row.columns().iter().map(value).collect::<Result<_, _>>().map(Self)
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
}
