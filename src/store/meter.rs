//! Owns what is counted of the store. Does not tell a table from another: an operator asks whether the database is slow.

use std::{sync::Arc, time::Instant};

use super::Error;
use crate::meters::{Count, Latency, Level};

/// What is counted of one database.
#[derive(Debug, Default)]
pub struct StoreMeter {
    /// Queries outside a transaction.
    pub read: Operation,
    /// Looks at the changes feed.
    pub feed: Operation,
    /// Whole transactions, from the wish to the answer.
    pub write: Operation,
    /// Commits alone. The embedded database puts many transactions into one.
    pub commit: Operation,
    /// Transactions asked for and not yet answered.
    pub writing: Level,
}

/// One kind of work.
#[derive(Debug, Default)]
pub struct Operation {
    /// How long it took, also where it failed.
    pub took: Latency,
    /// How often it failed; a refusal or a value that is taken is no failure.
    pub failed: Count,
}

impl StoreMeter {
    /// Each kind of work by the name operators see.
    #[must_use]
    pub fn operations(&self) -> [(&'static str, &Operation); 4] {
        [("read", &self.read), ("feed", &self.feed), ("write", &self.write), ("commit", &self.commit)]
    }
}

impl Operation {
    /// Counts one that began then.
    pub(super) fn done<T>(&self, began: Instant, outcome: &Result<T, Error>) {
        self.took.record(began.elapsed());
        if matches!(outcome, Err(Error::Unavailable(_) | Error::Corrupt(_) | Error::Bug(_))) {
            self.failed.one();
        }
    }
}

/// Connections to the database, of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// At work.
    pub busy: usize,
    /// Open and free.
    pub idle: usize,
    /// Most there may be.
    pub most: usize,
}

/// The instruments, shared with the writer's thread.
pub(super) type Meter = Arc<StoreMeter>;
