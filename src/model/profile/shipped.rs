//! Owns the profiles that are shipped with grantd. They cannot be changed, so an upgrade changes them for all APIs that name
//! them; a copy is the operator's own.

use std::sync::{Arc, LazyLock};

use super::{Dialect, compile};

/// The default profile.
pub const DEFAULT: &str = "bearer";

/// A profile that is shipped with grantd.
#[derive(Debug)]
pub struct Shipped {
    /// Its text.
    pub text: &'static str,
    /// The text, compiled.
    pub dialect: Arc<Dialect>,
}

const TEXTS: [(&str, &str); 10] = [
    ("api-key-module", include_str!("shipped/api-key-module.toml")),
    ("bearer", include_str!("shipped/bearer.toml")),
    ("ensemble", include_str!("shipped/ensemble.toml")),
    ("google", include_str!("shipped/google.toml")),
    ("iapm", include_str!("shipped/iapm.toml")),
    ("json-api", include_str!("shipped/json-api.toml")),
    ("problem-json", include_str!("shipped/problem-json.toml")),
    ("stripe-like", include_str!("shipped/stripe-like.toml")),
    ("telemetry-harbor", include_str!("shipped/telemetry-harbor.toml")),
    ("xml", include_str!("shipped/xml.toml")),
];

static SHIPPED: LazyLock<Vec<Shipped>> = LazyLock::new(|| {
    // Each text compiles: a test tries them all.
    let compiled = |(name, text)| Some(Shipped { text, dialect: Arc::new(compile(name, text).ok()?) });
    TEXTS.into_iter().filter_map(compiled).collect()
});

/// The profiles that are shipped with grantd.
pub fn shipped() -> &'static [Shipped] {
    &SHIPPED
}

impl Dialect {
    /// The default profile.
    pub fn shipped_default() -> Arc<Self> {
        Self::shipped(DEFAULT).unwrap_or_else(|| unreachable!("a test compiles every shipped profile"))
    }

    /// The profile with this name, if it is shipped with grantd.
    pub fn shipped(name: &str) -> Option<Arc<Self>> {
        shipped().iter().map(|shipped| &shipped.dialect).find(|dialect| dialect.name == name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_profiles_compile() {
        for (name, text) in TEXTS {
            compile(name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert_eq!(shipped().len(), TEXTS.len());
    }
}
