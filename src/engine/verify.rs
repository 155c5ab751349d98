//! Owns verification: credential → principal (DESIGN idea 1). Every endpoint calls it and only renders the result.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};

pub use super::accepted::{Accepted, Verification, Verified};
use super::{
    accepted::{self, Credentials},
    catalog::CatalogCache,
    read_token,
    signing::Signing,
    usage::Usage,
    verify_meters::VerifyMeters,
};
use crate::{
    cache::{Cached, Entity, EntityKind},
    model::{
        access_token::Claims,
        clock::Timestamp,
        error::Error,
        key::KeyStatus,
        management_api,
        principal::{CredentialKind, Presentation, Principal, PrincipalKey, PrincipalUser, Quota, Rejection},
        reason::Reason,
        scope::Scopes,
        secret::{self, Digest},
        usage::Outcome,
    },
    store::{KeyRecord, Store},
};

/// Longest credential accepted, in bytes; longer ones are unknown.
pub const CREDENTIAL_MAX: usize = 8192;
/// Slots that all credentials share. Each runs one read at a time, so there are never more reads at once.
const FLIGHTS: usize = 256;
/// Maximum requests waiting for one read; more are refused with advice to retry.
const WAITING_MAX: usize = 64;
/// Shortest text that may be an imported key, in bytes.
const OPAQUE_MIN: usize = 8;

/// Verifies credentials, from memory on a repeat.
#[derive(Debug)]
pub struct Verifier {
    parts: VerifierParts,
    cache: Credentials,
    meters: VerifyMeters,
    flights: Vec<Flight>,
    // Numbers arrivals and reads in order.
    order: AtomicU64,
}

/// The read in progress for the credentials of one slot.
#[derive(Debug)]
struct Flight {
    last: Mutex<Option<Read>>,
    waiting: Semaphore,
}

/// The last read of a slot. Requests that arrived before it began may share its result, even an uncached refusal.
#[derive(Debug)]
struct Read {
    digest: Digest,
    began: u64,
    found: Verification,
}

/// The dependencies of the verifier.
#[derive(Debug)]
pub struct VerifierParts {
    /// The database.
    pub store: Arc<Store>,
    /// The catalog of APIs.
    pub catalog: Arc<CatalogCache>,
    /// The signing keys.
    pub signing: Arc<Signing>,
    /// Usage counts.
    pub usage: Arc<Usage>,
    /// `iss` of our tokens.
    pub issuer: String,
    /// Plan of a client acting on its own; empty for none.
    pub client_plan: String,
    /// Memory for cached credentials, in bytes.
    pub memory: u64,
}

impl Verifier {
    /// Starts with an empty cache.
    pub fn new(parts: VerifierParts) -> Self {
        Self {
            cache: accepted::cache(parts.memory),
            parts,
            meters: VerifyMeters::default(),
            flights: (0..FLIGHTS)
                .map(|_| Flight { last: Mutex::default(), waiting: Semaphore::new(WAITING_MAX) })
                .collect(),
            order: AtomicU64::new(0),
        }
    }

    /// The principal of `credential` at `now`, or the reason for its rejection. Its use is counted by
    /// [`Self::count_use`] or [`Self::count_rejected`], once the outcome of its request is known. Fails if the store is
    /// needed and unavailable; never guesses.
    pub async fn verify(
        &self,
        now: Timestamp,
        credential: &str,
        from: &Presentation<'_>,
    ) -> Result<Verification, Error> {
        let found = self.check(now, credential, from).await?;
        match &found {
            Verification::Accepted(accepted) => self.meters.count(Some(accepted.value.principal.kind), None),
            Verification::Rejected(rejection) => self.meters.count(rejection.kind, Some(rejection.reason.as_str())),
        }
        Ok(found)
    }

    /// The counters of credential checks, the number of cached credentials, and their bytes.
    pub fn meters(&self) -> (&VerifyMeters, usize, u64) {
        (&self.meters, self.cache.len(), self.cache.weight())
    }

    async fn check(&self, now: Timestamp, credential: &str, from: &Presentation<'_>) -> Result<Verification, Error> {
        if credential.len() > CREDENTIAL_MAX {
            return Ok(Rejection::unknown(Reason::Unknown).into());
        }
        let digest = Digest::of(credential);
        let found = match self.meters.looked_up(self.cached(&digest)) {
            Some(found) => Verification::Accepted(found),
            None => self.load(now, credential, digest).await?,
        };
        let accepted = match found {
            Verification::Accepted(accepted) => accepted,
            rejected => return Ok(rejected),
        };
        let principal = &accepted.value.principal;
        let reason = match principal.expires_at {
            Some(end) if end <= now => Reason::Expired(Some(end)),
            _ if principal.key.as_ref().is_some_and(|key| !key.networks.allow(from.address)) => {
                if from.address.is_some() { Reason::Network } else { Reason::NoAddress }
            }
            _ => return Ok(Verification::Accepted(accepted)),
        };
        Ok(Rejection::of(reason, principal).into())
    }

    /// Counts the outcome of a request with an accepted credential.
    pub fn count_use(&self, now: Timestamp, accepted: &Verified, outcome: Outcome, from: &Presentation<'_>) {
        if let Some(counter) = &accepted.value.counter {
            self.parts.usage.count(counter, now, outcome, from);
        }
    }

    /// Counts a rejected use of a key.
    pub fn count_rejected(&self, key_id: &str) {
        self.parts.usage.count_rejected(key_id);
    }

    /// Reads the claims of an access token without checking whether it is still valid, to revoke it.
    pub fn signed_token(&self, token: &str) -> Option<Claims> {
        read_token::read(&self.parts.signing, &self.parts.issuer, token).ok()
    }

    /// Whether `text` may be an API key: of our own form, including its checksum, or of any form if opaque keys exist.
    pub fn may_be_api_key(&self, text: &str) -> bool {
        if secret::is_other_kind(text) || text.starts_with("eyJ") {
            return false;
        }
        // The configured prefix is not checked, because keys outlive a change of it.
        secret::has_checksum(text) || (text.len() >= OPAQUE_MIN && self.parts.catalog.current().has_opaque_keys)
    }

    /// Whether this node has accepted `text` before and still has it cached, even if it is no longer valid.
    pub fn has_accepted(&self, text: &str) -> bool {
        self.cache.contains_key(&Digest::of(text))
    }

    fn cached(&self, digest: &Digest) -> Option<Verified> {
        let feed = self.parts.store.freshness();
        if !feed.is_confirmed() {
            return None;
        }
        self.cache.get(digest).filter(|cached| feed.is_fresh(cached))
    }

    async fn load(&self, now: Timestamp, credential: &str, digest: Digest) -> Result<Verification, Error> {
        // Read the position before anything the result depends on, including the signing keys, so that a concurrent
        // change makes it stale.
        let position = self.parts.store.freshness().position();
        // Checks without a query come first, so that garbage causes none.
        let kind = match self.classify(credential) {
            Ok(Lookup::Token(claims)) if !claims.is_current(now) => {
                return Ok(claims.denied(Reason::Expired(Some(claims.expires_at()))).into());
            }
            Ok(kind) => kind,
            Err(reason) => return Ok(Rejection::unknown(reason).into()),
        };
        let arrived = self.order.fetch_add(1, Ordering::AcqRel);
        let flight = &self.flights[digest.shard(FLIGHTS)];
        let _waiting = flight
            .waiting
            .try_acquire()
            .map_err(|_| Error::unavailable("too many requests are waiting for this credential"))?;
        // The timeout includes the queue: behind a database that hangs, requests would otherwise wait many times over.
        let read = async {
            let mut last = flight.last.lock().await;
            if let Some(read) = last.as_ref().filter(|read| read.digest == digest && read.began > arrived) {
                return Ok(read.found.clone());
            }
            let began = self.order.fetch_add(1, Ordering::AcqRel);
            let found = self.read(now, kind, digest, position).await?;
            *last = Some(Read { digest, began, found: found.clone() });
            Ok(found)
        };
        timeout(self.parts.store.wait(), read).await.map_err(Error::unavailable)?
    }

    async fn read(&self, now: Timestamp, kind: Lookup, digest: Digest, position: u64) -> Result<Verification, Error> {
        if let Some(found) = self.cached(&digest) {
            return Ok(Verification::Accepted(found));
        }
        let read = match kind {
            Lookup::Token(claims) => self.check_token(*claims).await?,
            Lookup::Key => self.check_key(now, &digest).await?,
        };
        let (accepted, sources) = match read {
            Verification::Accepted(read) => read,
            Verification::Rejected(rejection) => return Ok(rejection.into()),
        };
        let entry = Arc::new(Cached::new(accepted, position, sources));
        self.cache.insert(digest, Arc::clone(&entry));
        Ok(Verification::Accepted(entry))
    }

    fn classify(&self, credential: &str) -> Result<Lookup, Reason> {
        if credential.starts_with("eyJ") {
            let claims = read_token::read(&self.parts.signing, &self.parts.issuer, credential)?;
            return Ok(Lookup::Token(Box::new(claims)));
        }
        if self.may_be_api_key(credential) {
            return Ok(Lookup::Key);
        }
        Err(if secret::is_other_kind(credential) { Reason::WrongKind } else { Reason::Unknown })
    }

    async fn check_token(&self, claims: Claims) -> Result<Verification<(Accepted, Vec<Entity>)>, Error> {
        let state = match &claims.gid {
            Some(grant) => self.parts.store.grant_token_state(grant, &claims.jti).await?,
            None => self.parts.store.client_token_state(&claims.client_id, &claims.jti).await?,
        };
        let Some(state) = state else { return Ok(claims.denied(Reason::Revoked(None)).into()) };
        if state.revoked {
            return Ok(claims.denied(Reason::Revoked(None)).into());
        }
        if state.disabled {
            return Ok(claims.denied(Reason::Disabled).into());
        }
        // The API was deleted since, so the token gives access to nothing.
        if self.parts.catalog.current().by_identifier(&claims.aud).is_none() {
            return Ok(claims.denied(Reason::Disabled).into());
        }
        let mut sources = vec![
            Entity::new(EntityKind::Token, claims.jti.as_str()),
            Entity::new(EntityKind::Client, claims.client_id.as_str()),
            Entity::new(EntityKind::Catalog, ""),
            Entity::new(EntityKind::SigningKeys, ""),
        ];
        sources.extend(state.client_owner.map(|owner| Entity::new(EntityKind::User, owner)));
        let (user, quota) = match state.user {
            Some((name, plan)) => {
                let user = PrincipalUser { id: claims.sub.clone(), name };
                (Some(user), Some(Quota { plan, subject: claims.sub.clone() }))
            }
            None => (None, self.of_client(&claims.client_id)),
        };
        if let Some(user) = &user {
            sources.push(Entity::new(EntityKind::User, user.id.as_str()));
        }
        if let Some(grant) = &claims.gid {
            sources.push(Entity::new(EntityKind::Grant, grant.as_str()));
        }
        let principal = Principal {
            kind: CredentialKind::AccessToken,
            expires_at: Some(claims.expires_at()),
            subject: claims.sub,
            client_id: Some(claims.client_id),
            user,
            scopes: Scopes::parse(&claims.scope).unwrap_or_default(),
            audience: vec![claims.aud],
            issued_at: Timestamp::from_seconds(claims.iat),
            token_id: claims.jti,
            grant_id: claims.gid,
            quota,
            key: None,
        };
        Ok(Verification::Accepted((Accepted::new(principal, None, &sources), sources)))
    }

    /// The quota of a client acting on its own.
    fn of_client(&self, client_id: &str) -> Option<Quota> {
        let plan = self.parts.client_plan.clone();
        (!plan.is_empty()).then(|| Quota { plan, subject: client_id.to_owned() })
    }

    async fn check_key(&self, now: Timestamp, digest: &Digest) -> Result<Verification<(Accepted, Vec<Entity>)>, Error> {
        let Some(record) = self.parts.store.find_key_by_digest(digest).await? else {
            return Ok(Rejection::unknown(Reason::Unknown).into());
        };
        let KeyRecord { key, user, project, quota, disabled, is_for_both } = record;
        let denied = |reason| {
            let (kind, key_id, user_id) =
                (Some(CredentialKind::ApiKey), Some(key.id.clone()), Some(key.user_id.clone()));
            Verification::Rejected(Rejection { reason, kind, key_id, user_id, client_id: None })
        };
        match key.status(now) {
            KeyStatus::Active => {}
            KeyStatus::Expired => return Ok(denied(Reason::Expired(key.expires_at))),
            KeyStatus::Revoked => return Ok(denied(Reason::Revoked(key.revoked_at))),
        }
        let catalog = self.parts.catalog.current();
        let scopes = key.scopes.filter(|name| catalog.scope(name).is_some());
        let used = if is_for_both { scopes.clone() } else { management_api::used(&scopes) };
        let audience: Vec<String> = catalog.of_scopes(&used).into_iter().map(|api| api.identifier.clone()).collect();
        if disabled || audience.is_empty() {
            return Ok(denied(Reason::Disabled));
        }
        let mut sources = vec![
            Entity::new(EntityKind::Key, key.id.as_str()),
            Entity::new(EntityKind::User, key.user_id.as_str()),
            Entity::new(EntityKind::Catalog, ""),
        ];
        if let Some(project) = &key.project_id {
            sources.push(Entity::new(EntityKind::Project, project.as_str()));
        }
        let counter = Some(self.parts.usage.counter(&key.id));
        let principal = Principal {
            kind: CredentialKind::ApiKey,
            subject: key.user_id,
            client_id: None,
            user: Some(user),
            scopes,
            audience,
            issued_at: key.created_at,
            expires_at: key.expires_at,
            token_id: key.id.clone(),
            grant_id: None,
            quota: Some(quota),
            key: Some(PrincipalKey {
                id: key.id,
                name: key.name,
                environment: key.environment,
                project,
                networks: key.networks,
            }),
        };
        Ok(Verification::Accepted((Accepted::new(principal, counter, &sources), sources)))
    }
}

enum Lookup {
    Token(Box<Claims>),
    Key,
}
