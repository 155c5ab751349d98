//! Owns the number of rows per transaction: fewer after the database took too long, and more again later.

use std::{
    ops::RangeInclusive,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::model::error::{Error, ErrorCode};

/// The number of rows for the next transaction.
#[derive(Debug)]
pub struct BatchSize {
    rows: AtomicUsize,
    bounds: RangeInclusive<usize>,
}

impl BatchSize {
    /// Starts with `rows`, and stays within `bounds`.
    #[must_use]
    pub const fn new(rows: usize, bounds: RangeInclusive<usize>) -> Self {
        Self { rows: AtomicUsize::new(rows), bounds }
    }

    /// The current number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Doubles the number, after a transaction with time to spare.
    pub fn grow(&self) {
        self.set(self.rows().saturating_mul(2));
    }

    /// Halves the number. False if it cannot be lower.
    pub fn shrink(&self) -> bool {
        let before = self.rows();
        self.set(before / 2);
        self.rows() < before
    }

    /// Shrinks after a failure, but only one that fewer rows may avoid. False if nothing changed.
    pub fn failed(&self, error: &Error) -> bool {
        error.code == ErrorCode::TemporarilyUnavailable && self.shrink()
    }

    fn set(&self, rows: usize) {
        self.rows.store(rows.clamp(*self.bounds.start(), *self.bounds.end()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_size_shrinks_on_a_slow_database_and_grows_again() {
        let size = BatchSize::new(8, 3..=16);
        let slow = Error::unavailable("the database did not answer in time");
        assert!(!size.failed(&Error::invalid_request("wrong")), "fewer rows would fail too");
        assert!(size.failed(&slow) && size.rows() == 4);
        assert!(size.failed(&slow) && size.rows() == 3);
        assert!(!size.failed(&slow));
        for _ in 0..4 {
            size.grow();
        }
        assert_eq!(size.rows(), 16);
    }
}
