//! Owns the catalog in memory. Reads it again when the feed says so; does not change it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::{
    model::{api::Catalog, error::Error, reserved},
    store::Store,
};

/// The APIs and scopes, as of the last change this node knows of.
#[derive(Debug)]
pub struct CatalogCache {
    store: Arc<Store>,
    issuer: String,
    current: ArcSwap<Catalog>,
    /// Held from reading to keeping: a slow reading must not replace what a later one found.
    reading: Mutex<()>,
}

impl CatalogCache {
    /// Reads the catalog for the first time.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
    pub async fn load(store: Arc<Store>, issuer: String) -> Result<Self, Error> {
        let catalog = Self { store, issuer, current: ArcSwap::default(), reading: Mutex::default() };
        catalog.reload().await?;
        Ok(catalog)
    }

    /// The catalog.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// Reads it again.
    ///
    /// # Errors
    /// `temporarily_unavailable`; the old one stays.
    pub async fn reload(&self) -> Result<(), Error> {
        let _reading = self.reading.lock().await;
        let stored = self.store.catalog().await?;
        self.current.store(Arc::new(Catalog { reserved: Some(reserved::api(&self.issuer)), ..stored }));
        Ok(())
    }
}
