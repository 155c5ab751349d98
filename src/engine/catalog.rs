//! Owns the catalog in memory. Reads it again when the feed says so; does not change it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::{
    model::{api::Catalog, clock::Timestamp, error::Error, management_api},
    store::Store,
};

/// Between two readings for the sake of names that are not known, in milliseconds.
const SEEK_EVERY_MS: i64 = 1000;

/// The APIs and scopes, as of the last change this node knows of.
#[derive(Debug)]
pub struct CatalogCache {
    store: Arc<Store>,
    issuer: String,
    current: ArcSwap<Catalog>,
    /// Held from reading to keeping: a slow reading must not replace what a later one found.
    reading: Mutex<()>,
    /// When it was last read for the sake of a name that was not known.
    sought_at: AtomicI64,
}

impl CatalogCache {
    /// Reads the catalog for the first time.
    pub async fn load(store: Arc<Store>, issuer: String) -> Result<Self, Error> {
        let catalog = Self {
            store,
            issuer,
            current: ArcSwap::default(),
            reading: Mutex::default(),
            sought_at: AtomicI64::new(0),
        };
        catalog.reload().await?;
        Ok(catalog)
    }

    /// The catalog.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// The catalog, for somebody who asks for what is not in it: it may have been made elsewhere this moment. Read again at
    /// most once a second, however many ask; who comes in between is answered from what was found.
    pub async fn seek(&self, now: Timestamp) -> Result<Arc<Catalog>, Error> {
        let last = self.sought_at.load(Ordering::Relaxed);
        let is_due = now.0.saturating_sub(last) >= SEEK_EVERY_MS;
        if is_due && self.sought_at.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.reload().await?;
        }
        Ok(self.current())
    }

    /// Reads it again.
    ///
    /// # Errors
    /// `temporarily_unavailable`; the old one stays.
    pub async fn reload(&self) -> Result<(), Error> {
        let _reading = self.reading.lock().await;
        let stored = self.store.catalog().await?;
        self.current.store(Arc::new(Catalog { management_api: Some(management_api::api(&self.issuer)), ..stored }));
        Ok(())
    }
}
