//! Owns finding and proving clients, from memory on a repeat. Does not read requests; see `http::client_auth`.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::{
    cache::{Cached, Entity, EntityKind},
    model::{
        client::{AuthMethod, Client, ClientSecret},
        clock::Timestamp,
        error::Error,
        secret::{self, Digest, Secret},
    },
    store::Store,
};

/// Clients remembered.
const CLIENTS_MAX: usize = 8192;
/// Longest client id looked up, in bytes.
const ID_MAX: usize = 128;

/// Which clients may prove themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Those that are not disabled.
    Active,
    /// Disabled ones too: to give up what they hold.
    Any,
}

/// Finds clients and proves them.
#[derive(Debug)]
pub struct Clients {
    store: Arc<Store>,
    cache: Cache<String, Arc<Cached<Arc<Client>>>>,
}

impl Clients {
    /// With an empty memory.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, cache: Cache::new(CLIENTS_MAX) }
    }

    /// The client with this id, if neither it nor its owner is disabled.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<Client>>, Error> {
        self.find_in(id, Standing::Active).await
    }

    async fn find_in(&self, id: &str, standing: Standing) -> Result<Option<Arc<Client>>, Error> {
        let feed = self.store.freshness();
        if feed.is_confirmed()
            && let Some(cached) = self.cache.get(id)
            && feed.is_fresh(&cached)
        {
            return Ok(Some(Arc::clone(&cached.value)));
        }
        if id.len() > ID_MAX || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Ok(None);
        }
        let position = feed.position();
        let Some(client) = self.store.find_client(id).await?.map(Arc::new) else { return Ok(None) };
        if !client.active {
            return Ok((standing == Standing::Any).then_some(client));
        }
        let mut sources = vec![Entity::new(EntityKind::Client, id)];
        // A client is disabled with its owner.
        sources.extend(client.owner_id.as_deref().map(|owner| Entity::new(EntityKind::User, owner)));
        let entry = Cached::new(Arc::clone(&client), position, sources);
        self.cache.insert(id.to_owned(), Arc::new(entry));
        Ok(Some(client))
    }

    /// Whether this node remembers a client with this id. Reads memory only.
    #[must_use]
    pub fn is_known(&self, id: &str) -> bool {
        self.cache.contains_key(id)
    }

    /// The client that proves itself with `secret` by `method`; an unknown one gets the same answer as a wrong secret.
    ///
    /// # Errors
    /// `invalid_client`, or `temporarily_unavailable`.
    pub async fn authenticate(
        &self,
        now: Timestamp,
        id: &str,
        secret: &str,
        method: AuthMethod,
        standing: Standing,
    ) -> Result<Arc<Client>, Error> {
        let presented = Digest::of(secret);
        let client = self.find_in(id, standing).await?.ok_or_else(Error::invalid_client)?;
        let live = |kept: &&ClientSecret| kept.expires_at.is_none_or(|end| end > now);
        let proven = client.secrets.iter().filter(live).any(|kept| presented.proves(&kept.digest));
        if proven && client.auth_methods.contains(&method) { Ok(client) } else { Err(Error::invalid_client()) }
    }

    /// The public client that names itself.
    ///
    /// # Errors
    /// `invalid_client` for a confidential one, or `temporarily_unavailable`.
    pub async fn identify_public(&self, id: &str, standing: Standing) -> Result<Arc<Client>, Error> {
        let client = self.find_in(id, standing).await?.ok_or_else(Error::invalid_client)?;
        if client.auth_methods.contains(&AuthMethod::None) { Ok(client) } else { Err(Error::invalid_client()) }
    }
}

/// A new client secret: what is shown once, and what is kept.
#[must_use]
pub fn new_secret(now: Timestamp) -> (Secret, ClientSecret) {
    let shown = Secret::generate(secret::CLIENT_SECRET);
    let kept = ClientSecret {
        id: secret::new_id("secret"),
        digest: shown.digest(),
        hint: shown.hint(),
        created_at: now,
        expires_at: None,
    };
    (shown, kept)
}
