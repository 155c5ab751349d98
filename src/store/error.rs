//! Owns how the store fails.

use crate::model::error::Error as ModelError;

/// Why a statement did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is unreachable, busy or full: nothing was acknowledged.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Only a person can mend it: the words say what and how. Never a password.
    #[error("{0}")]
    Setup(String),
    /// A unique value is taken.
    #[error("already exists")]
    Conflict,
    /// A row does not hold what it must.
    #[error("unexpected data: {0}")]
    Corrupt(&'static str),
    /// A refusal decided inside the transaction, which is rolled back.
    #[error("{0}")]
    Refused(ModelError),
}

impl Error {
    /// The same at a start, where trying again does not help: somebody has to look.
    pub(super) fn at_start(self, what: &str) -> Self {
        match self {
            Self::Unavailable(cause) => Self::Setup(format!("{what}: {cause}")),
            error => error,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error() {
            Some(cause)
                if matches!(
                    cause.extended_code,
                    rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                ) =>
            {
                Self::Conflict
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(cause) if cause.is_unique_violation() => Self::Conflict,
            _ => Self::Unavailable(error.to_string()),
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
            Error::Corrupt(_) => Self::server(error),
            Error::Unavailable(_) => Self::unavailable(error),
        }
    }
}
