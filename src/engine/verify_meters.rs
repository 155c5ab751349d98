//! Owns what is counted of credentials: checked by kind and outcome, answered from memory or not.

use crate::{
    meters::{Count, Named},
    model::principal::{CredentialKind, Reason, Rejection},
};

/// What is counted of credentials.
#[derive(Debug)]
pub struct VerifyMeters {
    /// Answered from memory.
    pub hits: Count,
    /// Not in memory, or no longer to be trusted.
    pub misses: Count,
    tokens: Kind,
    keys: Kind,
    /// Neither, as far as can be told.
    unknown: Kind,
}

#[derive(Debug)]
struct Kind {
    accepted: Count,
    denied: Named<Count>,
}

impl Kind {
    fn of<const N: usize>(denials: [Reason; N]) -> Self {
        Self { accepted: Count::default(), denied: Named::of(denials.map(Reason::as_str)) }
    }
}

impl Default for VerifyMeters {
    /// Nothing counted yet.
    fn default() -> Self {
        Self {
            hits: Count::default(),
            misses: Count::default(),
            tokens: Kind::of([Reason::Expired, Reason::Revoked, Reason::Disabled]),
            keys: Kind::of([Reason::Expired, Reason::Revoked, Reason::Disabled, Reason::Network]),
            unknown: Kind::of([Reason::Unknown, Reason::WrongKind]),
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

    /// Counts one check: the kind of an accepted credential, or why it was rejected.
    pub(super) fn count(&self, found: Result<CredentialKind, &Rejection>) {
        match found {
            Ok(kind) => self.kind(Some(kind)).accepted.one(),
            Err(rejection) => self.kind(rejection.kind).denied.with(rejection.reason.as_str(), Count::one),
        }
    }

    fn kind(&self, kind: Option<CredentialKind>) -> &Kind {
        match kind {
            Some(CredentialKind::AccessToken) => &self.tokens,
            Some(CredentialKind::ApiKey) => &self.keys,
            None => &self.unknown,
        }
    }

    /// Every kind and outcome with how often it was seen.
    #[must_use]
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
