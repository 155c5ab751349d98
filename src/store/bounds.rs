//! Owns limits on the time and memory that a database may use.

use std::time::Duration;

use crate::config::Limits;

/// How much longer the database itself waits than its caller does.
pub(super) const MARGIN: Duration = Duration::from_secs(1);
/// Default limit for a wait.
const WAIT: Duration = Duration::from_secs(4);
/// Default memory for pages, in bytes.
const PAGE_CACHE: usize = 16 << 20;

/// Limits of a database.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest wait for a read or write before it fails with a retryable error.
    pub wait: Duration,
    /// Memory for pages of the embedded database over all its connections, in bytes.
    pub page_cache: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { wait: WAIT, page_cache: PAGE_CACHE }
    }
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        let page_cache = usize::try_from(limits.page_cache_mebibytes).unwrap_or(usize::MAX) << 20;
        Self { wait: limits.database, page_cache }
    }
}
