//! Owns the store's metrics. Does not distinguish tables: operators need to see whether the database is slow.

use std::{sync::Arc, time::Instant};

use super::Error;
use crate::meters::{Count, Latency, Level};

/// Metrics of one database.
#[derive(Debug, Default)]
pub struct StoreMeter {
    /// Queries outside a transaction.
    pub read: Operation,
    /// Polls of the changes feed.
    pub feed: Operation,
    /// Whole transactions, from the request to the result.
    pub write: Operation,
    /// Commits only. The embedded database combines many transactions into one commit.
    pub commit: Operation,
    /// Transactions requested and not yet finished.
    pub writing: Level,
}

/// One kind of operation.
#[derive(Debug, Default)]
pub struct Operation {
    /// How long it took, including failures.
    pub took: Latency,
    /// How often it failed; refusals and conflicts are not failures.
    pub failed: Count,
}

impl StoreMeter {
    /// Each kind of operation with its label in the metrics.
    pub fn operations(&self) -> [(&'static str, &Operation); 4] {
        [("read", &self.read), ("feed", &self.feed), ("write", &self.write), ("commit", &self.commit)]
    }
}

impl Operation {
    /// Counts an operation that began at `began`.
    pub(super) fn done<T>(&self, began: Instant, outcome: &Result<T, Error>) {
        self.took.record(began.elapsed());
        if matches!(outcome, Err(Error::Unavailable(_) | Error::Aborted(_) | Error::Corrupt(_) | Error::Bug(_))) {
            self.failed.one();
        }
    }
}

/// Database connections of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// In use.
    pub busy: usize,
    /// Open and free.
    pub idle: usize,
    /// Maximum number.
    pub most: usize,
}

/// The metrics, shared with the writer thread.
pub(super) type Meter = Arc<StoreMeter>;
