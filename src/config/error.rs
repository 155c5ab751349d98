//! Owns the configuration error and its message.

use std::fmt;

/// An invalid configuration: the key, what would be valid, and the value found with its source. Never holds a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key, such as `limits.body_bytes`; empty if no single key is to blame.
    pub(super) key: String,
    /// What would be valid, with an example.
    pub(super) right: String,
    /// The value found, with its file and line, variable or flag.
    pub(super) found: Option<String>,
}

impl ConfigError {
    /// An error about the value of one key.
    pub(super) fn of(key: &str, right: impl Into<String>) -> Self {
        Self { key: key.to_owned(), right: right.into(), found: None }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("configuration: ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.right)?;
        match &self.found {
            Some(found) => write!(f, " ({found})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}
