//! Owns the counters of credential checks: by kind and outcome, and of cache hits and misses.

use crate::{
    meters::{Count, Named},
    model::principal::CredentialKind,
};

/// The counters of credential checks.
#[derive(Debug)]
pub struct VerifyMeters {
    /// Found in the cache.
    pub hits: Count,
    /// Not in the cache, or stale.
    pub misses: Count,
    tokens: Kind,
    keys: Kind,
    /// Neither, as far as can be determined.
    unknown: Kind,
}

#[derive(Debug)]
struct Kind {
    accepted: Count,
    denied: Named<Count>,
}

impl Kind {
    fn of<const N: usize>(reasons: [&str; N]) -> Self {
        Self { accepted: Count::default(), denied: Named::of(reasons) }
    }
}

impl Default for VerifyMeters {
    /// Starts at zero.
    fn default() -> Self {
        Self {
            hits: Count::default(),
            misses: Count::default(),
            tokens: Kind::of(["expired", "revoked", "disabled"]),
            keys: Kind::of(["expired", "revoked", "disabled", "network"]),
            unknown: Kind::of(["unknown", "wrong_kind"]),
        }
    }
}

impl VerifyMeters {
    /// Counts a cache lookup as a hit or a miss, and returns what it found.
    pub(super) fn looked_up<T>(&self, cached: Option<T>) -> Option<T> {
        if cached.is_some() {
            self.hits.one()
        } else {
            self.misses.one()
        }
        cached
    }

    /// Counts one check by the kind of credential, with the reason if it was rejected.
    pub(super) fn count(&self, kind: Option<CredentialKind>, rejected: Option<&'static str>) {
        let kind = self.kind(kind);
        match rejected {
            None => kind.accepted.one(),
            Some(reason) => kind.denied.with(reason, Count::one),
        }
    }

    fn kind(&self, kind: Option<CredentialKind>) -> &Kind {
        match kind {
            Some(CredentialKind::AccessToken) => &self.tokens,
            Some(CredentialKind::ApiKey) => &self.keys,
            None => &self.unknown,
        }
    }

    /// Every kind and outcome with its count.
    pub fn all(&self) -> Vec<(&'static str, Box<str>, u64)> {
        let mut all = Vec::new();
        for kind in [Some(CredentialKind::AccessToken), Some(CredentialKind::ApiKey), None] {
            let (name, counts) = (kind.map_or("unknown", CredentialKind::as_str), self.kind(kind));
            if kind.is_some() {
                all.push((name, "accepted".into(), counts.accepted.get()));
            }
            all.extend(counts.denied.all().into_iter().map(|(outcome, count)| (name, outcome, count.get())));
        }
        all
    }
}
