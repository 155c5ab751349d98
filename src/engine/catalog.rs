//! Owns the catalog in memory. Reloads it after changes in the feed; does not change it.

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

/// Interval between reloads because of unknown names, in milliseconds.
const SEEK_EVERY_MS: i64 = 1000;

/// The APIs and scopes, as of the last change seen by this node.
#[derive(Debug)]
pub struct CatalogCache {
    store: Arc<Store>,
    issuer: String,
    current: ArcSwap<Catalog>,
    /// Held from the read to the replacement, so that a slow read does not overwrite a later one.
    reading: Mutex<()>,
    /// The time of the last reload because of an unknown name.
    sought_at: AtomicI64,
}

impl CatalogCache {
    /// Loads the catalog for the first time.
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

    /// The current catalog.
    pub fn current(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// The catalog, for a lookup that did not find a name: another node may have just created it. Reloads at most once
    /// a second for all callers; in between, returns the current catalog.
    pub async fn seek(&self, now: Timestamp) -> Result<Arc<Catalog>, Error> {
        let last = self.sought_at.load(Ordering::Relaxed);
        let is_due = now.0.saturating_sub(last) >= SEEK_EVERY_MS;
        if is_due && self.sought_at.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.reload().await?;
        }
        Ok(self.current())
    }

    /// Reloads the catalog. After an error the old one is kept.
    pub async fn reload(&self) -> Result<(), Error> {
        let _reading = self.reading.lock().await;
        let stored = self.store.catalog().await?;
        self.current.store(Arc::new(Catalog { management_api: Some(management_api::api(&self.issuer)), ..stored }));
        Ok(())
    }
}
