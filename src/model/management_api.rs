//! Owns grantd's own API: the management API's entry in the catalog, beside the deployment's APIs. It is derived from
//! the configured issuer and never stored, so that every node has it, with the scopes of its own version.

use std::sync::Arc;

use super::{
    api::{Algorithm, Api, ApiScope},
    policy,
    profile::Dialect,
    scope::Scopes,
};

/// Its slug, which no API of a deployment may have.
pub const SLUG: &str = "grantd";
/// Prefix of the names of its scopes, and of no others.
pub const SCOPE_PREFIX: &str = "grantd:";
/// Its path below the issuer, also used in its audience URI.
pub const PATH: &str = "/api/v1";

/// A scope as a type, so that a handler's signature names the one it needs.
pub trait Needed: Send + Sync + 'static {
    /// The scope.
    const SCOPE: Scope;
    /// Whether it gives access to personal data. If so, each access by an administrator is recorded.
    const IS_PERSONAL: bool = Self::SCOPE.is_personal();
}

macro_rules! scopes {
    ($($name:ident = $token:literal, $description:literal;)*) => {
        /// A scope of the management API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scope {
            $(#[doc = concat!("`", $token, "`: ", $description, ".")] $name,)*
        }

        impl Scope {
            /// Every scope.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The scope-token.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $token,)* }
            }

            /// Its permissions in words, for consent pages and key forms.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $description,)* }
            }
        }

        /// The scopes as types.
        pub mod needs {
            $(
                #[doc = concat!("`", $token, "`.")]
                #[derive(Debug)]
                pub struct $name;

                impl super::Needed for $name {
                    const SCOPE: super::Scope = super::Scope::$name;
                }
            )*
        }
    };
}

scopes! {
    KeysRead = "grantd:keys:read", "See API keys";
    KeysWrite = "grantd:keys:write", "Make, change and revoke API keys";
    ProjectsRead = "grantd:projects:read", "See projects";
    ProjectsWrite = "grantd:projects:write", "Make and change projects";
    ClientsRead = "grantd:clients:read", "See apps";
    ClientsWrite = "grantd:clients:write", "Make, change and delete apps";
    UsersRead = "grantd:users:read", "See users (administrators)";
    UsersWrite = "grantd:users:write", "Make and change users (administrators)";
    ApisRead = "grantd:apis:read", "See APIs and their rules (administrators)";
    ApisWrite = "grantd:apis:write", "Make APIs and change their rules (administrators)";
    PlansRead = "grantd:plans:read", "See plans (administrators)";
    PlansWrite = "grantd:plans:write", "Change plans (administrators)";
    UsageRead = "grantd:usage:read", "See how keys are used and why requests were refused";
    AuditRead = "grantd:audit:read", "See what happened";
}

impl Scope {
    /// Whether it gives access to personal data.
    pub const fn is_personal(self) -> bool {
        !matches!(self, Self::ApisRead | Self::ApisWrite | Self::PlansRead | Self::PlansWrite)
    }
}

/// The management API of this issuer.
pub fn api(issuer: &str) -> Api {
    let scope = |scope: &Scope| ApiScope { name: scope.name().to_owned(), description: scope.description().to_owned() };
    Api {
        id: "api_grantd".to_owned(),
        slug: SLUG.to_owned(),
        identifier: format!("{issuer}{PATH}"),
        name: "grantd".to_owned(),
        profile: Dialect::shipped_default(),
        algorithm: Algorithm::default(),
        access_token_seconds: policy::ACCESS_TOKEN_SECONDS,
        client_id: String::new(),
        counts_introspection: false,
        scopes: Scope::ALL.iter().map(scope).collect(),
        rules: Arc::default(),
    }
}

/// Those of `scopes` that belong to the management API.
pub fn of(scopes: &Scopes) -> Scopes {
    scopes.filter(|name| name.starts_with(SCOPE_PREFIX))
}

/// Those of a key's scopes with which it is used: if it has scopes of the management API, these alone. An API that
/// receives a key could otherwise use it there. The others are those that the key may give to keys that it creates.
pub fn used(scopes: &Scopes) -> Scopes {
    let own = of(scopes);
    if own.is_empty() { scopes.clone() } else { own }
}
