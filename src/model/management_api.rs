//! Owns grantd's own API, as which the management API stands in the catalog beside the deployment's APIs. It is made of the
//! configured issuer and never stored: every node knows it, and a newer grantd knows its new scopes.

use super::{
    api::{Algorithm, Api, ApiScope},
    profile::Profile,
    scope::Scopes,
};

/// Its slug, which no API of a deployment may have.
pub const SLUG: &str = "grantd";
/// How the names of its scopes begin, and no others.
pub const SCOPE_PREFIX: &str = "grantd:";
/// Below the issuer: its audience URI, and where it answers.
pub const PATH: &str = "/api/v1";

/// See keys.
pub const KEYS_READ: &str = "grantd:keys:read";
/// Make, change and end keys.
pub const KEYS_WRITE: &str = "grantd:keys:write";
/// See projects.
pub const PROJECTS_READ: &str = "grantd:projects:read";
/// Make and change projects.
pub const PROJECTS_WRITE: &str = "grantd:projects:write";
/// See clients.
pub const CLIENTS_READ: &str = "grantd:clients:read";
/// Make, change and delete clients.
pub const CLIENTS_WRITE: &str = "grantd:clients:write";
/// See users.
pub const USERS_READ: &str = "grantd:users:read";
/// Make and change users.
pub const USERS_WRITE: &str = "grantd:users:write";
/// See APIs and their rules.
pub const APIS_READ: &str = "grantd:apis:read";
/// Make APIs, add and remove rules.
pub const APIS_WRITE: &str = "grantd:apis:write";
/// See plans.
pub const PLANS_READ: &str = "grantd:plans:read";
/// Change plans.
pub const PLANS_WRITE: &str = "grantd:plans:write";
/// See how keys are used, and why requests were refused.
pub const USAGE_READ: &str = "grantd:usage:read";
/// See what happened.
pub const AUDIT_READ: &str = "grantd:audit:read";

/// Its scopes, in words for consent pages and key forms.
const SCOPES: [(&str, &str); 14] = [
    (KEYS_READ, "See API keys"),
    (KEYS_WRITE, "Make, change and revoke API keys"),
    (PROJECTS_READ, "See projects"),
    (PROJECTS_WRITE, "Make and change projects"),
    (CLIENTS_READ, "See apps"),
    (CLIENTS_WRITE, "Make, change and delete apps"),
    (USERS_READ, "See users (administrators)"),
    (USERS_WRITE, "Make and change users (administrators)"),
    (APIS_READ, "See APIs and their rules (administrators)"),
    (APIS_WRITE, "Make APIs and change their rules (administrators)"),
    (PLANS_READ, "See plans (administrators)"),
    (PLANS_WRITE, "Change plans (administrators)"),
    (USAGE_READ, "See how keys are used and why requests were refused"),
    (AUDIT_READ, "See what happened"),
];

/// The management API of this issuer.
#[must_use]
pub fn api(issuer: &str) -> Api {
    let scope = |(name, description): &(&str, &str)| ApiScope {
        name: (*name).to_owned(),
        description: (*description).to_owned(),
    };
    Api {
        id: "api_grantd".to_owned(),
        slug: SLUG.to_owned(),
        identifier: format!("{issuer}{PATH}"),
        name: "grantd".to_owned(),
        profile: Profile::default(),
        algorithm: Algorithm::default(),
        access_token_seconds: 3600,
        client_id: String::new(),
        counts_introspection: false,
        scopes: SCOPES.iter().map(scope).collect(),
        rules: Vec::new(),
    }
}

/// Those of `scopes` that are for the management API.
#[must_use]
pub fn of(scopes: &Scopes) -> Scopes {
    scopes.filter(|name| name.starts_with(SCOPE_PREFIX))
}
