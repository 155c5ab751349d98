//! Owns how a configuration is wrong, in words.

use std::fmt;

/// What was wrong with the configuration: the key, what would be right, and what was found where. Never a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Such as `limits.body_bytes`; empty where no one key is to blame.
    pub(super) key: String,
    /// What would be right, with an example.
    pub(super) right: String,
    /// What was found, and in which file and line, variable or flag.
    pub(super) found: Option<String>,
}

impl ConfigError {
    /// A wrong value of one key.
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
