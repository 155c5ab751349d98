//! Owns how the store fails, and which failures of a database are outages, which conflicts, and which bugs of ours.

use rusqlite::{ErrorCode as Sqlite, ffi};

use crate::model::error::{Error as ModelError, ErrorCode};

/// Why a statement did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is unreachable, busy or full: nothing was acknowledged, and trying again may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Only a person can mend it: the words say what and how. Never a password.
    #[error("{0}")]
    Setup(String),
    /// A unique value is taken.
    #[error("already exists")]
    Conflict,
    /// The session in which somebody asked for it has ended: nothing has happened.
    #[error("the session has ended")]
    SessionEnded,
    /// A row does not hold what it must.
    #[error("unexpected data: {0}")]
    Corrupt(&'static str),
    /// The database refused the statement for what it is or holds: trying again never helps.
    #[error("a statement is wrong: {0}")]
    Bug(String),
    /// A refusal decided inside the transaction, which is rolled back.
    #[error("{0}")]
    Refused(ModelError),
}

impl Error {
    /// The same at a start, where trying again does not help: somebody has to look.
    pub(super) fn at_start(self, what: &str) -> Self {
        match self {
            Self::Unavailable(cause) | Self::Bug(cause) => Self::Setup(format!("{what}: {cause}")),
            error => error,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let words = error.to_string();
        let Some(cause) = error.sqlite_error() else { return Self::Bug(words) };
        match (cause.code, cause.extended_code) {
            (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => Self::Conflict,
            // A table that is away was there at the start: somebody is at work on the database.
            (Sqlite::Unknown, _) if words.contains("no such table") => Self::Unavailable(words),
            // A trigger is somebody else's: this database takes no such write for now.
            (_, ffi::SQLITE_CONSTRAINT_TRIGGER) => Self::Unavailable(words),
            // SQLite has no code for a statement it cannot compile but "error".
            (
                Sqlite::Unknown
                | Sqlite::ConstraintViolation
                | Sqlite::TypeMismatch
                | Sqlite::ApiMisuse
                | Sqlite::ParameterOutOfRange
                | Sqlite::TooBig,
                _,
            ) => Self::Bug(words),
            _ => Self::Unavailable(words),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as Sql;
        let words = error.to_string();
        match &error {
            Sql::Database(cause) => match cause.code().as_deref() {
                Some("23505") => Self::Conflict,
                // A table that is away was there at the start, and rights can be taken: somebody is at work on the database.
                Some("42P01" | "42501") => Self::Unavailable(words),
                // Data exceptions, constraints, and what is wrong with a statement itself.
                Some(code) if ["22", "23", "42"].iter().any(|class| code.starts_with(class)) => Self::Bug(words),
                _ => Self::Unavailable(words),
            },
            Sql::RowNotFound
            | Sql::TypeNotFound { .. }
            | Sql::ColumnIndexOutOfBounds { .. }
            | Sql::ColumnNotFound(_)
            | Sql::ColumnDecode { .. }
            | Sql::Encode(_)
            | Sql::Decode(_) => Self::Bug(words),
            _ => Self::Unavailable(words),
        }
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        Self::Refused(error)
    }
}

impl From<Error> for ModelError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(error) => error,
            Error::Setup(message) => Self::invalid_request(message),
            Error::Conflict => Self::invalid_request("that already exists"),
            Error::SessionEnded => {
                let message = "you were signed out meanwhile, so nothing was changed; sign in and try again";
                Self::new(ErrorCode::Forbidden, message)
            }
            Error::Corrupt(_) | Error::Bug(_) => Self::server(error),
            Error::Unavailable(_) => Self::unavailable(error),
        }
    }
}
