//! Owns the result of checking a credential: an accepted one as cached, with its memory cost so that the cache is
//! bounded in bytes; or a rejection.

use std::{
    mem::size_of,
    sync::{Arc, OnceLock},
};

use ipnet::IpNet;
use quick_cache::{Weighter, sync::Cache};

use super::usage::KeyCounter;
use crate::{
    cache::{Cached, Entity},
    model::{
        principal::{Principal, Rejection},
        secret::Digest,
    },
};

/// Allocator overhead per allocation, in bytes, rounded up.
const PIECE: usize = 16;
/// Size of a credential with one or two scopes, in bytes, including its cache entry.
const TYPICAL: u64 = 1700;
/// Size of a cache entry and a key's usage counter, in bytes.
const PLACE: usize = 400;
/// What [`Accepted::introspected`] has beside the principal's texts, in bytes: the names of its members.
const MEMBERS: usize = 300;

/// An accepted credential: its principal, and a usage counter if it is a key.
#[derive(Debug)]
pub struct Accepted {
    /// The principal that the credential represents.
    pub principal: Principal,
    /// The part of its introspection response that never changes, rendered at the first introspection.
    pub introspected: OnceLock<Box<[u8]>>,
    pub(super) counter: Option<Arc<KeyCounter>>,
    /// Its memory cost, in bytes.
    weight: u64,
}

impl Accepted {
    /// An accepted credential that was derived from `sources`.
    pub(super) fn new(principal: Principal, counter: Option<Arc<KeyCounter>>, sources: &[Entity]) -> Self {
        let weight = weight(&principal, sources);
        Self { principal, introspected: OnceLock::new(), counter, weight }
    }
}

/// An accepted credential in the cache.
pub type Verified = Arc<Cached<Accepted>>;

/// The result of verification: an accepted credential, or the reason for its rejection.
#[derive(Clone, Debug)]
#[must_use]
pub enum Verification<T = Verified> {
    /// Valid, as far as the verifier can tell.
    Accepted(T),
    /// Not valid.
    Rejected(Rejection),
}

impl<T> From<Rejection> for Verification<T> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// Cached credentials by the digest of their text.
pub(super) type Credentials = Cache<Digest, Verified, ByWeight>;

/// Weighs a credential by its memory cost, in bytes.
#[derive(Clone, Debug)]
pub(super) struct ByWeight;

impl Weighter<Digest, Verified> for ByWeight {
    fn weight(&self, _: &Digest, verified: &Verified) -> u64 {
        verified.value.weight
    }
}

/// A cache of at most this many bytes.
pub(super) fn cache(bytes: u64) -> Credentials {
    Cache::with_weighter(usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX), bytes, ByWeight)
}

/// The memory cost of a principal and the entities it was derived from, in bytes.
fn weight(principal: &Principal, sources: &[Entity]) -> u64 {
    let Principal { subject, client_id, user, scopes, audience, token_id, grant_id, quota, key, .. } = principal;
    let optional = [client_id, grant_id].into_iter().flatten();
    let texts = [subject, token_id].into_iter().chain(optional).chain(audience);
    let texts = texts
        .chain(user.iter().flat_map(|user| [&user.id, &user.name]))
        .chain(quota.iter().flat_map(|quota| [&quota.plan, &quota.subject]))
        .chain(key.iter().flat_map(|key| [&key.id, &key.name, &key.environment]))
        .chain(key.iter().filter_map(|key| key.project.as_ref()).flat_map(|(id, name)| [id, name]));
    // Each text is in the introspection response once more.
    let texts: usize = texts.map(|text| 2 * text.len() + PIECE + size_of::<String>()).sum();
    let scopes: usize = scopes.iter().map(|scope| 2 * scope.len() + PIECE + 2 * size_of::<String>()).sum();
    let networks = key.as_ref().map_or(0, |key| key.networks.iter().count() * size_of::<IpNet>());
    let sources: usize = sources.iter().map(|entity| entity.id.len() + PIECE + size_of::<Entity>()).sum();
    u64::try_from(PLACE + MEMBERS + size_of::<Cached<Accepted>>() + texts + scopes + networks + sources)
        .unwrap_or(u64::MAX)
}
