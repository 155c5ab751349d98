//! Owns when a cached answer may be trusted (DESIGN idea 3). Does not read the feed; see `store::changes`.
//!
//! Positions are ticks of this node. A change gets the next tick when this node reads it from the feed. A cached value
//! records the tick that was current before its rows were read. A change committed after that read is seen later, so
//! its tick is greater, in whatever order the database assigned the sequence numbers.

use std::{
    collections::HashMap,
    sync::{
        RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::time::Instant;

/// Most changed entities kept; above this, every cached value is read again once.
const CHANGED_MAX: usize = 65_536;
/// A node stops trusting its cache after this long without a successful read of the feed. In milliseconds.
pub const TRUST_MS: u64 = 1000;

/// What an answer can be derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityKind {
    /// `users`.
    User,
    /// `clients` and their secrets.
    Client,
    /// `apis`, `scopes`: the whole catalog.
    Catalog,
    /// `grants`.
    Grant,
    /// `revoked_tokens`, by `jti`.
    Token,
    /// `api_keys`.
    Key,
    /// `projects`.
    Project,
    /// `sessions`.
    Session,
    /// `signing_keys`: the whole set.
    SigningKeys,
}

impl EntityKind {
    const ALL: [Self; 9] = [
        Self::User,
        Self::Client,
        Self::Catalog,
        Self::Grant,
        Self::Token,
        Self::Key,
        Self::Project,
        Self::Session,
        Self::SigningKeys,
    ];

    /// Its name in the feed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Client => "client",
            Self::Catalog => "catalog",
            Self::Grant => "grant",
            Self::Token => "token",
            Self::Key => "key",
            Self::Project => "project",
            Self::Session => "session",
            Self::SigningKeys => "signing_keys",
        }
    }

    /// The kind with this name in the feed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One thing that can change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entity {
    /// Its kind.
    pub kind: EntityKind,
    /// Its identifier; empty for kinds that change as a whole.
    pub id: Box<str>,
}

impl Entity {
    /// The entity with this kind and identifier.
    pub fn new(kind: EntityKind, id: impl Into<Box<str>>) -> Self {
        Self { kind, id: id.into() }
    }
}

/// A value, the entities it was derived from and the tick at which it was read.
#[derive(Debug)]
pub struct Cached<T> {
    /// The value.
    pub value: T,
    sources: Box<[Entity]>,
    read_at: u64,
    // The last tick at which no source had changed: the next check is then one comparison.
    checked_at: AtomicU64,
}

impl<T> Cached<T> {
    /// A value read from `sources` at `position`, which was taken before its rows were read.
    pub fn new(value: T, position: u64, sources: impl Into<Box<[Entity]>>) -> Self {
        Self { value, sources: sources.into(), read_at: position, checked_at: AtomicU64::new(position) }
    }
}

/// The state of the feed as this node has read it.
#[derive(Debug)]
pub struct Freshness {
    started: Instant,
    confirmed_ms: AtomicU64,
    tick: AtomicU64,
    changed: RwLock<Changed>,
}

#[derive(Debug, Default)]
struct Changed {
    at: HashMap<Entity, u64>,
    // Values read before this tick are never fresh.
    floor: u64,
}

impl Default for Freshness {
    fn default() -> Self {
        // Not confirmed until the feed has been read once.
        Self {
            started: Instant::now(),
            confirmed_ms: AtomicU64::new(0),
            tick: AtomicU64::new(1),
            changed: RwLock::default(),
        }
    }
}

impl Freshness {
    /// The current position. Take it before reading rows.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.tick.load(Ordering::Acquire)
    }

    /// Records changes: every value derived from these entities is read again.
    pub fn apply(&self, entities: impl IntoIterator<Item = Entity>) {
        let mut entities = entities.into_iter().peekable();
        if entities.peek().is_none() {
            return;
        }
        let mut changed = self.changed.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let tick = self.tick.load(Ordering::Acquire) + 1;
        changed.at.extend(entities.map(|entity| (entity, tick)));
        if changed.at.len() > CHANGED_MAX {
            changed.at.clear();
            changed.floor = tick;
        }
        self.tick.store(tick, Ordering::Release);
    }

    /// Invalidates everything read so far: changes may have been missed.
    pub fn distrust_all(&self) {
        let mut changed = self.changed.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let tick = self.tick.load(Ordering::Acquire) + 1;
        changed.at.clear();
        changed.floor = tick;
        self.tick.store(tick, Ordering::Release);
    }

    /// Milliseconds on this node's own monotonic clock.
    #[must_use]
    pub fn steady_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Records that the feed was read to its end by a poll that began at `steady_ms`.
    pub fn confirm(&self, steady_ms: u64) {
        self.confirmed_ms.fetch_max(steady_ms, Ordering::AcqRel);
    }

    /// Whether the feed was confirmed within the last second.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        let confirmed = self.confirmed_ms.load(Ordering::Acquire);
        confirmed > 0 && self.steady_ms().saturating_sub(confirmed) < TRUST_MS
    }

    /// Milliseconds since the start of the poll that last confirmed the feed; since startup if there was none.
    #[must_use]
    pub fn lag_ms(&self) -> u64 {
        self.steady_ms().saturating_sub(self.confirmed_ms.load(Ordering::Acquire))
    }

    /// Whether no source of `cached` has changed since it was read.
    #[must_use]
    pub fn is_fresh<T>(&self, cached: &Cached<T>) -> bool {
        let tick = self.position();
        if cached.checked_at.load(Ordering::Acquire) == tick {
            return true;
        }
        let changed = self.changed.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let untouched = |entity: &Entity| changed.at.get(entity).is_none_or(|&at| at <= cached.read_at);
        let fresh = cached.read_at >= changed.floor && cached.sources.iter().all(untouched);
        if fresh {
            cached.checked_at.store(tick, Ordering::Release);
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn key(id: &str) -> Entity {
        Entity::new(EntityKind::Key, id)
    }

    #[test]
    fn change_after_the_read_causes_a_miss() {
        let feed = Freshness::default();
        let cached = Cached::new((), feed.position(), [key("a")]);
        assert!(feed.is_fresh(&cached));
        feed.apply([key("b")]);
        assert!(feed.is_fresh(&cached));
        feed.apply([key("a")]);
        assert!(!feed.is_fresh(&cached));
    }

    #[test]
    fn fill_racing_a_revocation_is_not_trusted() {
        // THREATS: AK10
        let feed = Freshness::default();
        let position = feed.position();
        feed.apply([key("a")]);
        assert!(!feed.is_fresh(&Cached::new((), position, [key("a")])));
    }

    #[test]
    fn cache_size_is_bounded() {
        let feed = Freshness::default();
        let cached = Cached::new((), feed.position(), [key("a")]);
        feed.apply((0..=CHANGED_MAX).map(|n| key(&n.to_string())));
        assert!(!feed.is_fresh(&cached));
        assert!(feed.is_fresh(&Cached::new((), feed.position(), [key("a")])));
    }

    #[tokio::test(start_paused = true)]
    async fn poll_is_trusted_for_one_second_from_its_start() {
        // THREATS: AK10
        let feed = Freshness::default();
        let began = feed.steady_ms();
        advance(Duration::from_millis(300)).await;
        feed.confirm(began);
        advance(Duration::from_millis(TRUST_MS - 301)).await;
        assert!(feed.is_confirmed());
        advance(Duration::from_millis(1)).await;
        assert!(!feed.is_confirmed());
    }

    #[test]
    fn nothing_is_trusted_before_the_first_poll() {
        let feed = Freshness::default();
        assert!(!feed.is_confirmed());
        feed.confirm(feed.steady_ms());
        assert!(feed.is_confirmed());
    }
}
