//! Owns what checking a credential finds: an accepted one as it is cached, with what it costs in memory, so that the cache
//! is bounded in bytes; or a rejection.

use std::{mem::size_of, sync::Arc};

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

/// What the allocator adds to one piece of memory, in bytes, rounded up.
const PIECE: usize = 16;
/// A credential of one or two scopes, in bytes, with its place in the cache.
const TYPICAL: u64 = 1200;
/// A place in the cache, and the counter of a key's uses, in bytes.
const PLACE: usize = 400;

/// What was accepted: the principal, and the counter of its uses where it is a key.
#[derive(Debug)]
pub struct Accepted {
    /// What the credential stands for.
    pub principal: Principal,
    pub(super) counter: Option<Arc<KeyCounter>>,
    /// What it costs in memory, in bytes.
    pub(super) weight: u64,
}

/// An accepted credential, as it is remembered.
pub type Verified = Arc<Cached<Accepted>>;

/// What became of a credential: what it stands for, or why it stands for nothing.
#[derive(Clone, Debug)]
#[must_use]
pub enum Verification<T = Verified> {
    /// It is valid, as far as the verifier can tell.
    Accepted(T),
    /// It is not.
    Rejected(Rejection),
}

impl<T> From<Rejection> for Verification<T> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// Checked credentials by the digest of their text.
pub(super) type Credentials = Cache<Digest, Verified, ByWeight>;

/// Weighs a credential by what it costs, in bytes.
#[derive(Clone, Debug)]
pub(super) struct ByWeight;

impl Weighter<Digest, Verified> for ByWeight {
    fn weight(&self, _: &Digest, verified: &Verified) -> u64 {
        verified.value.weight
    }
}

/// A cache of at most so many bytes.
pub(super) fn cache(bytes: u64) -> Credentials {
    Cache::with_weighter(usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX), bytes, ByWeight)
}

/// What a principal and the entities it was derived from cost, in bytes.
pub(super) fn weight(principal: &Principal, sources: &[Entity]) -> u64 {
    let Principal { subject, client_id, user, scopes, audience, token_id, grant_id, quota, key, .. } = principal;
    let optional = [client_id, grant_id].into_iter().flatten();
    let texts = [subject, token_id].into_iter().chain(optional).chain(audience);
    let texts = texts
        .chain(user.iter().flat_map(|user| [&user.id, &user.name]))
        .chain(quota.iter().flat_map(|quota| [&quota.plan, &quota.subject]))
        .chain(key.iter().flat_map(|key| [&key.id, &key.name, &key.environment]))
        .chain(key.iter().filter_map(|key| key.project.as_ref()).flat_map(|(id, name)| [id, name]));
    let texts: usize = texts.map(|text| text.len() + PIECE + size_of::<String>()).sum();
    let scopes: usize = scopes.iter().map(|scope| scope.len() + PIECE + 2 * size_of::<String>()).sum();
    let networks = key.as_ref().map_or(0, |key| key.networks.iter().count() * size_of::<IpNet>());
    let sources: usize = sources.iter().map(|entity| entity.id.len() + PIECE + size_of::<Entity>()).sum();
    u64::try_from(PLACE + size_of::<Cached<Accepted>>() + texts + scopes + networks + sources).unwrap_or(u64::MAX)
}
