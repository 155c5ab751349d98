//! Owns finding sessions, with a cache. Does not create cookies; see `http::session`.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::{
    cache::{Cached, Entity, EntityKind},
    model::{clock::Timestamp, error::Error, secret::Digest},
    store::{SessionRecord, Store},
};

/// Maximum number of cached sessions.
const SESSIONS_MAX: usize = 16_384;

/// Finds sessions.
#[derive(Debug)]
pub struct Sessions {
    store: Arc<Store>,
    cache: Cache<Digest, Arc<Cached<SessionRecord>>>,
}

impl Sessions {
    /// Starts with an empty cache.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, cache: Cache::new(SESSIONS_MAX) }
    }

    /// The active session of a cookie, if its user is not disabled.
    pub async fn find(&self, now: Timestamp, digest: Digest) -> Result<Option<Arc<Cached<SessionRecord>>>, Error> {
        let feed = self.store.freshness();
        let live = |cached: &Arc<Cached<SessionRecord>>| cached.value.expires_at > now && cached.value.who.user.active;
        if feed.is_confirmed()
            && let Some(cached) = self.cache.get(&digest)
            && feed.is_fresh(&cached)
        {
            return Ok(Some(cached).filter(live));
        }
        let position = feed.position();
        let Some(record) = self.store.find_session(&digest).await? else { return Ok(None) };
        let sources = [
            Entity::new(EntityKind::Session, digest.text()),
            Entity::new(EntityKind::User, record.who.user.id.as_str()),
        ];
        let cached = Arc::new(Cached::new(record, position, sources));
        self.cache.insert(digest, Arc::clone(&cached));
        Ok(Some(cached).filter(live))
    }
}
