//! Owns scopes: the grammar of RFC 6749 §3.3 and set operations.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::error::Error;

/// Longest `scope` parameter accepted, in bytes; a longer one is refused unparsed.
pub const SCOPE_PARAMETER_MAX: usize = 4096;
/// Longest name of one scope, in bytes.
pub const SCOPE_NAME_MAX: usize = 128;

/// A set of scope names, ordered, each valid by RFC 6749 §3.3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Parses a space-delimited `scope` parameter; a repeated name counts once.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > SCOPE_PARAMETER_MAX {
            return Err(Error::invalid_scope("scope is too long"));
        }
        text.split(' ').filter(|name| !name.is_empty()).try_fold(Self::default(), |mut scopes, name| {
            if !is_scope_token(name) {
                return Err(Error::invalid_scope("scope contains characters that RFC 6749 section 3.3 does not allow"));
            }
            scopes.0.insert(name.to_owned());
            Ok(scopes)
        })
    }

    /// A set of names, each for itself.
    ///
    /// # Errors
    /// `invalid_scope` when one is outside the grammar.
    pub fn of(names: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let names: BTreeSet<String> = names.into_iter().collect();
        match names.iter().all(|name| is_scope_token(name)) {
            true => Ok(Self(names)),
            false => Err(Error::invalid_scope("a scope is one word (RFC 6749 section 3.3)")),
        }
    }

    /// The names in this set for which `keep` is true.
    pub fn filter(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|name| keep(name)).cloned().collect())
    }

    /// Whether every name is also in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Whether `name` is in the set.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The union of both sets.
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    /// Collects names that were validated before (rows of the store, the catalog).
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// Whether `name` is a scope-token: `1*( %x21 / %x23-5B / %x5D-7E )`.
pub fn is_scope_token(name: &str) -> bool {
    let grammar = |b: u8| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    !name.is_empty() && name.len() <= SCOPE_NAME_MAX && name.bytes().all(grammar)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scope_grammar_follows_rfc_6749() {
        // THREATS: HX6
        assert!(Scopes::parse("read \"write\"").is_err());
        assert!(Scopes::parse("read\\write").is_err());
        assert!(Scopes::parse("réad").is_err());
        assert!(Scopes::parse(&"a ".repeat(10_000)).is_err());
        assert_eq!(Scopes::parse("write read read").expect("scopes").to_string(), "read write");
    }

    proptest! {
        #[test]
        fn scope_text_round_trips(names in proptest::collection::btree_set("[!#-\\[\\]-~]{1,12}", 0..12)) {
            let scopes: Scopes = names.iter().cloned().collect();
            prop_assert_eq!(Scopes::parse(&scopes.to_string()).expect("scopes"), scopes);
        }

        #[test]
        fn arbitrary_text_never_widens_scopes(text in ".{0,64}", allowed in "[a-z]{1,4}") {
            if let Ok(asked) = Scopes::parse(&text) {
                prop_assert!(asked.filter(|name| name == allowed).is_subset(&asked));
            }
        }
    }
}
