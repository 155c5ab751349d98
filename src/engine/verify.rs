//! Owns the one question: credential → principal (DESIGN idea 1). Every endpoint asks here and only renders the answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jsonwebtoken::Validation;
use quick_cache::sync::Cache;
use serde::Deserialize;
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};

use super::{
    catalog::CatalogCache,
    signing::Signing,
    usage::{KeyCounter, Usage},
};
use crate::{
    cache::{Cached, Entity, EntityKind},
    model::{
        api::Algorithm,
        clock::Timestamp,
        error::Error,
        key::KeyStatus,
        principal::{CredentialKind, Denial, Principal, PrincipalKey, PrincipalUser},
        scope::Scopes,
        secret::{self, Digest},
    },
    store::Store,
};

/// Longest credential read, in bytes; longer ones are nobody's.
pub const CREDENTIAL_MAX: usize = 8192;
/// One read per credential at a time: credentials share this many turns, so there are never more reads at once.
const TURNS: usize = 256;
/// Requests waiting for one turn; more are told to try again.
const WAITING_MAX: usize = 64;
/// Longest wait for a credential to be read.
const FILL_WAIT: Duration = Duration::from_secs(4);
/// How far a token's `iat` may lie ahead, in seconds: clocks of several nodes differ.
const SKEW_SECONDS: i64 = 60;

/// What was accepted: the principal, and the counter of its uses where it is a key.
#[derive(Debug)]
pub struct Accepted {
    /// What the credential stands for.
    pub principal: Principal,
    counter: Option<Arc<KeyCounter>>,
}

/// An accepted credential, as it is remembered.
pub type Verified = Arc<Cached<Accepted>>;

/// Answers the question, from memory on a repeat.
#[derive(Debug)]
pub struct Verifier {
    store: Arc<Store>,
    catalog: Arc<CatalogCache>,
    signing: Arc<Signing>,
    usage: Arc<Usage>,
    issuer: String,
    cache: Cache<Digest, Verified>,
    turns: Vec<Turn>,
    // Orders arrivals and reads.
    order: AtomicU64,
}

/// The turn of the credentials of one shard.
#[derive(Debug)]
struct Turn {
    last: Mutex<Option<Read>>,
    waiting: Semaphore,
}

/// The last read of a turn. Whoever arrived before it began may share it: also a refusal, which is never remembered.
#[derive(Debug)]
struct Read {
    digest: Digest,
    began: u64,
    found: Result<Verified, Denial>,
}

/// Parts the verifier is built from.
#[derive(Debug)]
pub struct VerifierParts {
    /// Where state is.
    pub store: Arc<Store>,
    /// The APIs.
    pub catalog: Arc<CatalogCache>,
    /// The keys.
    pub signing: Arc<Signing>,
    /// Counts uses.
    pub usage: Arc<Usage>,
    /// `iss` of our tokens.
    pub issuer: String,
    /// Credentials remembered.
    pub entries: usize,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
    crit: Option<serde_json::Value>,
    b64: Option<serde_json::Value>,
}

/// Claims, strictly typed: a float, string or repeated member is no number of ours.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    jti: String,
    client_id: String,
    scope: String,
    gid: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What an access token says, its signature checked and nothing else.
#[derive(Debug)]
pub struct SignedToken {
    /// `jti`.
    pub jti: String,
    /// `client_id`.
    pub client_id: String,
    /// `exp`.
    pub expires_at: Timestamp,
}

impl Verifier {
    /// With an empty memory.
    #[must_use]
    pub fn new(parts: VerifierParts) -> Self {
        Self {
            store: parts.store,
            catalog: parts.catalog,
            signing: parts.signing,
            usage: parts.usage,
            issuer: parts.issuer,
            cache: Cache::new(parts.entries),
            turns: (0..TURNS).map(|_| Turn { last: Mutex::default(), waiting: Semaphore::new(WAITING_MAX) }).collect(),
            order: AtomicU64::new(0),
        }
    }

    /// What `credential` stands for at `now`, or why it stands for nothing.
    ///
    /// # Errors
    /// `temporarily_unavailable` when the store must be asked and cannot be: never a guess.
    pub async fn verify(&self, now: Timestamp, credential: &str) -> Result<Result<Verified, Denial>, Error> {
        if credential.len() > CREDENTIAL_MAX {
            return Ok(Err(Denial::Unknown));
        }
        let digest = Digest::of(credential);
        let found = match self.remembered(&digest) {
            Some(found) => Ok(found),
            None => self.fill(now, credential, digest).await?,
        };
        Ok(found.and_then(|accepted| {
            if accepted.value.principal.expires_at.is_some_and(|end| end <= now) {
                return Err(Denial::Expired);
            }
            if let Some(counter) = &accepted.value.counter {
                self.usage.count(counter, now);
            }
            Ok(accepted)
        }))
    }

    /// Reads an access token's identity without asking whether it still counts, to revoke it.
    #[must_use]
    pub fn signed_token(&self, token: &str) -> Option<SignedToken> {
        let claims = self.claims(token).ok()?;
        Some(SignedToken {
            jti: claims.jti,
            client_id: claims.client_id,
            expires_at: Timestamp::from_seconds(claims.exp),
        })
    }

    /// Whether `text` has the form of one of our API keys, checksum included.
    #[must_use]
    pub fn is_api_key(&self, text: &str) -> bool {
        // Whatever the prefix is configured to be today: keys outlive a change of it.
        let other = |prefix: &str| text.starts_with(prefix);
        secret::has_checksum(text)
            && ![secret::CODE, secret::REFRESH_TOKEN, secret::CLIENT_SECRET].into_iter().any(other)
    }

    fn remembered(&self, digest: &Digest) -> Option<Verified> {
        let feed = self.store.freshness();
        if !feed.is_confirmed() {
            return None;
        }
        self.cache.get(digest).filter(|cached| feed.is_fresh(cached))
    }

    async fn fill(&self, now: Timestamp, credential: &str, digest: Digest) -> Result<Result<Verified, Denial>, Error> {
        // The position comes before everything the answer is made of, the signing keys too: a change that races this
        // makes it a miss.
        let position = self.store.freshness().position();
        // Everything that needs no query comes first, so that garbage costs none.
        let kind = match self.classify(credential) {
            Ok(Presented::Token(claims)) if !claims.is_current(now) => return Ok(Err(Denial::Expired)),
            Ok(kind) => kind,
            Err(denial) => return Ok(Err(denial)),
        };
        let arrived = self.order.fetch_add(1, Ordering::AcqRel);
        let turn = &self.turns[digest.shard(TURNS)];
        let _waiting =
            turn.waiting.try_acquire().map_err(|_| Error::unavailable("too many requests wait for this credential"))?;
        // Waiting for one's turn counts too: behind a database that hangs, a queue would wait many times over.
        let read = async {
            let mut last = turn.last.lock().await;
            if let Some(read) = last.as_ref().filter(|read| read.digest == digest && read.began > arrived) {
                return Ok(read.found.clone());
            }
            let began = self.order.fetch_add(1, Ordering::AcqRel);
            let found = self.read(now, kind, digest, position).await?;
            *last = Some(Read { digest, began, found: found.clone() });
            Ok(found)
        };
        timeout(FILL_WAIT, read).await.map_err(Error::unavailable)?
    }

    async fn read(
        &self,
        now: Timestamp,
        kind: Presented,
        digest: Digest,
        position: u64,
    ) -> Result<Result<Verified, Denial>, Error> {
        if let Some(found) = self.remembered(&digest) {
            return Ok(Ok(found));
        }
        let read = match kind {
            Presented::Token(claims) => self.read_token(*claims).await?,
            Presented::Key => self.read_key(now, &digest).await?,
        };
        Ok(read.map(|(accepted, sources)| {
            let entry = Arc::new(Cached::new(accepted, position, sources));
            self.cache.insert(digest, Arc::clone(&entry));
            entry
        }))
    }

    fn classify(&self, credential: &str) -> Result<Presented, Denial> {
        if credential.starts_with("eyJ") {
            return self.claims(credential).map(|claims| Presented::Token(Box::new(claims)));
        }
        if self.is_api_key(credential) {
            return Ok(Presented::Key);
        }
        let other = [secret::CODE, secret::REFRESH_TOKEN, secret::CLIENT_SECRET]
            .into_iter()
            .any(|prefix| credential.starts_with(prefix));
        Err(if other { Denial::WrongKind } else { Denial::Unknown })
    }

    /// Signature, type, issuer and times of a token (RFC 9068 §4); the algorithm is the key's, never the header's choice.
    fn claims(&self, token: &str) -> Result<Claims, Denial> {
        let unknown = || Denial::Unknown;
        let mut parts = token.splitn(4, '.');
        let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(Denial::Unknown);
        };
        let header = data_encoding::BASE64URL_NOPAD.decode(header.as_bytes()).map_err(|_| unknown())?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| unknown())?;
        if header.typ != "at+jwt" || header.crit.is_some() || header.b64.is_some() {
            return Err(Denial::Unknown);
        }
        let keys = self.signing.keys();
        let key = keys.find(&header.kid).filter(|key| key.algorithm.as_str() == header.alg).ok_or_else(unknown)?;
        let mut validation = Validation::new(match key.algorithm {
            Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        });
        // Times and audience are checked by us: against our clock, strictly typed.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let claims: Claims = jsonwebtoken::decode(token, &key.verifier, &validation).map_err(|_| unknown())?.claims;
        let sane = (0..=claims.exp).contains(&claims.iat) && claims.nbf.is_none_or(|nbf| nbf >= 0);
        if claims.iss == self.issuer && sane { Ok(claims) } else { Err(Denial::Unknown) }
    }

    async fn read_token(&self, claims: Claims) -> Result<Result<(Accepted, Vec<Entity>), Denial>, Error> {
        let state = match &claims.gid {
            Some(grant) => self.store.grant_token_state(grant, &claims.jti).await?,
            None => self.store.client_token_state(&claims.client_id, &claims.jti).await?,
        };
        let Some(state) = state else { return Ok(Err(Denial::Revoked)) };
        let audience = match claims.aud {
            Audience::One(one) => vec![one],
            Audience::Many(many) => many,
        };
        let catalog = self.catalog.current();
        let audience: Vec<String> = audience.into_iter().filter(|uri| catalog.by_identifier(uri).is_some()).collect();
        if state.revoked {
            return Ok(Err(Denial::Revoked));
        }
        if state.disabled || audience.is_empty() {
            return Ok(Err(Denial::Disabled));
        }
        let mut sources = vec![
            Entity::new(EntityKind::Token, claims.jti.as_str()),
            Entity::new(EntityKind::Client, claims.client_id.as_str()),
            Entity::new(EntityKind::Catalog, ""),
            Entity::new(EntityKind::SigningKeys, ""),
        ];
        let user = state.user.map(|(name, plan)| PrincipalUser { id: claims.sub.clone(), name, plan });
        if let Some(user) = &user {
            sources.push(Entity::new(EntityKind::User, user.id.as_str()));
        }
        if let Some(grant) = &claims.gid {
            sources.push(Entity::new(EntityKind::Grant, grant.as_str()));
        }
        let principal = Principal {
            kind: CredentialKind::AccessToken,
            subject: claims.sub,
            client_id: Some(claims.client_id),
            user,
            scopes: Scopes::parse(&claims.scope).unwrap_or_default(),
            audience,
            issued_at: Timestamp::from_seconds(claims.iat),
            expires_at: Some(Timestamp::from_seconds(claims.exp)),
            token_id: claims.jti,
            grant_id: claims.gid,
            key: None,
        };
        Ok(Ok((Accepted { principal, counter: None }, sources)))
    }

    async fn read_key(
        &self,
        now: Timestamp,
        digest: &Digest,
    ) -> Result<Result<(Accepted, Vec<Entity>), Denial>, Error> {
        let Some(record) = self.store.find_key(digest).await? else { return Ok(Err(Denial::Unknown)) };
        let key = record.key;
        match key.status(now) {
            KeyStatus::Active => {}
            KeyStatus::Expired => return Ok(Err(Denial::Expired)),
            KeyStatus::Revoked => return Ok(Err(Denial::Revoked)),
        }
        let catalog = self.catalog.current();
        let scopes = key.scopes.filter(|name| catalog.scope(name).is_some());
        let audience: Vec<String> = catalog.of_scopes(&scopes).into_iter().map(|api| api.identifier.clone()).collect();
        if record.user_disabled || audience.is_empty() {
            return Ok(Err(Denial::Disabled));
        }
        let sources = vec![
            Entity::new(EntityKind::Key, key.id.as_str()),
            Entity::new(EntityKind::User, key.user_id.as_str()),
            Entity::new(EntityKind::Catalog, ""),
        ];
        let counter = Some(self.usage.counter(&key.id));
        let principal = Principal {
            kind: CredentialKind::ApiKey,
            subject: key.user_id,
            client_id: None,
            user: Some(record.user),
            scopes,
            audience,
            issued_at: key.created_at,
            expires_at: key.expires_at,
            token_id: key.id.clone(),
            grant_id: None,
            key: Some(PrincipalKey { id: key.id, name: key.name, environment: key.environment }),
        };
        Ok(Ok((Accepted { principal, counter }, sources)))
    }
}

enum Presented {
    Token(Box<Claims>),
    Key,
}

impl Claims {
    /// Whether the token's own times allow it at `now`.
    fn is_current(&self, now: Timestamp) -> bool {
        let ahead = now.plus_seconds(SKEW_SECONDS).seconds();
        self.exp > now.seconds() && self.iat <= ahead && self.nbf.is_none_or(|nbf| nbf <= ahead)
    }
}
