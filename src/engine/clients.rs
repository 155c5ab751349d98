//! Owns finding and authenticating clients, with a cache; and registering and changing them and rotating their secrets,
//! for any actor. Does not read requests; see `http::client_auth`. Permissions are in `client_rules`.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::{Along, Engine, attenuation::Attenuation, client_rules};
use crate::{
    cache::{Cached, Entity, EntityKind},
    model::{
        audit::Act,
        client::{AuthMethod, Client, ClientSecret},
        clock::Timestamp,
        error::Error,
        secret::{self, Digest, Secret},
    },
    store::{self, ClientChanges, Store},
};

/// Maximum number of cached clients.
const CLIENTS_MAX: usize = 8192;
/// Longest client ID looked up, in bytes.
const ID_MAX: usize = 128;

/// Which clients may authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Clients that are not disabled.
    Active,
    /// Disabled clients too, so that they can revoke their tokens.
    Any,
}

/// Finds and authenticates clients.
#[derive(Debug)]
pub struct Clients {
    store: Arc<Store>,
    cache: Cache<String, Arc<Cached<Arc<Client>>>>,
}

impl Clients {
    /// Starts with an empty cache.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, cache: Cache::new(CLIENTS_MAX) }
    }

    /// The client with this ID, unless it or its owner is disabled.
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
        // Disabling an owner also disables the client.
        sources.extend(client.owner_id.as_deref().map(|owner| Entity::new(EntityKind::User, owner)));
        let entry = Cached::new(Arc::clone(&client), position, sources);
        self.cache.insert(id.to_owned(), Arc::new(entry));
        Ok(Some(client))
    }

    /// Whether this node has cached a client with this ID. Reads memory only.
    pub fn is_known(&self, id: &str) -> bool {
        self.cache.contains_key(id)
    }

    /// Authenticates a client with `secret` by `method`; an unknown client gets the same error as a wrong secret.
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

    /// Identifies a public client by its ID alone.
    pub async fn identify_public(&self, id: &str, standing: Standing) -> Result<Arc<Client>, Error> {
        let client = self.find_in(id, standing).await?.ok_or_else(Error::invalid_client)?;
        if client.auth_methods.contains(&AuthMethod::None) { Ok(client) } else { Err(Error::invalid_client()) }
    }
}

/// A client, with its new secret if it is confidential.
#[derive(Debug)]
pub struct WithSecret {
    /// The client.
    pub client: Client,
    /// The secret of a confidential client, to be shown once.
    pub secret: Option<Secret>,
    /// When its other secrets expire, if it had any.
    pub others_end_at: Option<Timestamp>,
}

/// Registers a client, and creates the secret of a confidential one. An ID that was used before is a conflict.
pub async fn register(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    mut client: Client,
    along: impl FnOnce(&WithSecret) -> Along,
) -> Result<WithSecret, store::Error> {
    client_rules::may_register(engine.config, by, &client)?;
    let secret = client.is_confidential().then(|| {
        let (shown, kept) = new_secret(act.now);
        client.secrets.push(kept);
        shown
    });
    let registered = WithSecret { client, secret, others_end_at: None };
    let store = engine.store.storing(along(&registered)?);
    store.insert_client(act.now, act.origin, registered.client.clone()).await?;
    Ok(registered)
}

/// Changes a client, and disables or enables it. `None` if there is no such client.
pub async fn update(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    before: &Client,
    (to, active): (ClientChanges, Option<bool>),
) -> Result<Option<Client>, store::Error> {
    let (id, Act { now, origin }) = (&before.id, act);
    let to = client_rules::may_change(engine.config, by, before, to)?;
    let owner = before.owner_id.clone();
    if !to.is_empty() && !engine.store.update_client(now, origin.clone(), id.clone(), owner, to).await? {
        return Ok(None);
    }
    if let Some(active) = active
        && !engine.store.set_client_active(now, origin, id.clone(), active).await?
    {
        return Ok(None);
    }
    engine.store.find_client(id).await
}

/// Gives a client a new secret; its others expire after `overlap` seconds. `id` is the ID of the secret, for forms that
/// must not create two. `None` for a public client. An ID that was used before is a conflict.
pub async fn rotate_secret(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    client: Client,
    (id, overlap): (Option<String>, i64),
    along: impl FnOnce(&WithSecret) -> Along,
) -> Result<Option<WithSecret>, store::Error> {
    client_rules::may_rotate_secret(engine.config, by, &client, overlap)?;
    let (shown, kept) = new_secret(act.now);
    let kept = ClientSecret { id: id.unwrap_or(kept.id), ..kept };
    let end = act.now.plus_seconds(overlap);
    let rotated = WithSecret { client, secret: Some(shown), others_end_at: Some(end) };
    let store = engine.store.storing(along(&rotated)?);
    let (id, owner) = (rotated.client.id.clone(), rotated.client.owner_id.clone());
    Ok(store.rotate_secret(act.now, act.origin, id, owner, kept, end).await?.then_some(rotated))
}

/// A new client secret: the value to show once, and the record to store.
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
