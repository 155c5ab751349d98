//! Owns the store's errors, and which database errors are outages, conflicts, or bugs in this program.

use rusqlite::{ErrorCode as Sqlite, ffi};

use crate::model::error::{Error as ModelError, ErrorCode};

/// Why a statement had no effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is unreachable, busy or full: nothing was committed, and a retry may succeed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Needs an operator: the message explains what to do. Never contains a password.
    #[error("{0}")]
    Setup(String),
    /// A unique value is already in use.
    #[error("already exists")]
    Conflict,
    /// The session of the caller has ended; nothing was changed.
    #[error("the session has ended")]
    SessionEnded,
    /// A row contains invalid data.
    #[error("unexpected data: {0}")]
    Corrupt(&'static str),
    /// The database rejected the statement for its text or values: a retry never helps.
    #[error("invalid statement: {0}")]
    Bug(String),
    /// A refusal decided inside the transaction, which is rolled back.
    #[error("{0}")]
    Refused(ModelError),
}

impl Error {
    /// The same error at startup, where a retry does not help and an operator must act.
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
            // A missing table existed at startup: the database is being worked on.
            (Sqlite::Unknown, _) if words.contains("no such table") => Self::Unavailable(words),
            // A trigger that is not part of this schema rejects the write: treated as an outage.
            (_, ffi::SQLITE_CONSTRAINT_TRIGGER) => Self::Unavailable(words),
            // SQLite reports a statement that it cannot compile with the generic code "error".
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
                // A missing table existed at startup, and privileges can be revoked: the database is being worked on.
                Some("42P01" | "42501") => Self::Unavailable(words),
                // Data exceptions, constraint violations, and errors in the statement itself.
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
            Error::Conflict => Self::invalid_request("it already exists"),
            Error::SessionEnded => {
                let message = "you have been signed out, so nothing was changed; sign in and try again";
                Self::new(ErrorCode::Forbidden, message)
            }
            Error::Corrupt(_) | Error::Bug(_) => Self::server(error),
            Error::Unavailable(_) => Self::unavailable(error),
        }
    }
}
