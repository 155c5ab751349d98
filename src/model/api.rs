//! Owns the protected resource (RFC 8707, RFC 9728) and the catalog of all APIs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    error::Error,
    plan::Plans,
    profile::{Dialect, KeyPolicy},
    rules::Rules,
    scope::{Scopes, is_scope_token},
    words,
};

/// How access tokens for an API are signed (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    ES256,
    /// Ed25519.
    EdDSA,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    RS256,
}

words!(Algorithm { ES256 => "ES256", EdDSA => "EdDSA", RS256 => "RS256" });

/// A scope of an API, with a description for the consent page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiScope {
    /// The scope-token.
    pub name: String,
    /// Its permissions, in words.
    pub description: String,
}

/// A protected resource.
#[derive(Clone, Debug)]
pub struct Api {
    /// `api_…`.
    pub id: String,
    /// Short name in URLs.
    pub slug: String,
    /// Audience URI: the `resource` and `aud` value.
    pub identifier: String,
    /// Display name.
    pub name: String,
    /// Its profile, compiled.
    pub profile: Arc<Dialect>,
    /// How its access tokens are signed.
    pub algorithm: Algorithm,
    /// Lifetime of its access tokens, in seconds.
    pub access_token_seconds: i64,
    /// The client with which its resource server introspects.
    pub client_id: String,
    /// Whether an introspection counts as a call against the plan; if not, it only reports the remaining quota.
    pub counts_introspection: bool,
    /// Its scopes.
    pub scopes: Vec<ApiScope>,
    /// The scopes that requests need, in order of evaluation; if empty, any credential for this API is enough.
    pub rules: Arc<Rules>,
}

impl Api {
    /// Whether `name` is one of its own scopes.
    pub fn has_scope(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.name == name)
    }

    /// Those of `scopes` that belong to this API, space-delimited. An API does not receive the scopes of others.
    pub fn own_scopes(&self, scopes: &Scopes) -> String {
        scopes.iter().filter(|name| self.has_scope(name)).fold(String::new(), |mut own, name| {
            if !own.is_empty() {
                own.push(' ');
            }
            own.push_str(name);
            own
        })
    }
}

/// Every API of the deployment, and grantd's own. A scope belongs to exactly one.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The APIs, ordered by name.
    pub apis: Vec<Api>,
    /// grantd's own API, for management. It is separate, so that its scopes are granted only when named.
    pub management_api: Option<Api>,
    /// The plans.
    pub plans: Plans,
    /// Whether there are keys without our format: imported ones and UUIDs.
    pub has_opaque_keys: bool,
}

impl Catalog {
    /// The deployment's APIs, and grantd's own.
    pub fn every(&self) -> impl Iterator<Item = &Api> {
        self.apis.iter().chain(&self.management_api)
    }

    /// The API with this audience URI.
    pub fn by_identifier(&self, identifier: &str) -> Option<&Api> {
        self.every().find(|api| api.identifier == identifier)
    }

    /// The deployment's API with this slug.
    pub fn by_slug(&self, slug: &str) -> Option<&Api> {
        self.apis.iter().find(|api| api.slug == slug)
    }

    /// The API whose resource server is `client_id`.
    pub fn by_client(&self, client_id: &str) -> Option<&Api> {
        self.apis.iter().find(|api| api.client_id == client_id)
    }

    /// The scope with this name, and its API.
    pub fn scope(&self, name: &str) -> Option<(&Api, &ApiScope)> {
        self.every().find_map(|api| Some((api, api.scopes.iter().find(|scope| scope.name == name)?)))
    }

    /// Every scope of the deployment's APIs.
    pub fn all_scopes(&self) -> Scopes {
        self.apis.iter().flat_map(|api| &api.scopes).map(|scope| scope.name.clone()).collect()
    }

    /// The policy that the deployment's APIs suggest to new projects, if they agree.
    pub fn suggested_keys(&self) -> KeyPolicy {
        let mut suggested = self.apis.iter().map(|api| &api.profile.keys);
        let first = suggested.next();
        first.filter(|first| suggested.all(|other| other == *first)).cloned().unwrap_or_default()
    }

    /// The APIs that `scopes` belong to, ordered by name.
    pub fn of_scopes(&self, scopes: &Scopes) -> Vec<&Api> {
        self.every().filter(|api| api.scopes.iter().any(|scope| scopes.contains(&scope.name))).collect()
    }

    /// Resolves names typed by a person. `all` alone means every scope of the deployment's APIs. Unknown or missing
    /// names are refused, and so are the scopes of grantd's own API.
    pub fn choose(&self, names: &[String]) -> Result<Scopes, Error> {
        self.choose_among(names, |_| false)
    }

    /// As [`Self::choose`], but also accepts the scopes of grantd's own API by name. `all` does not include them.
    pub fn choose_with_management(&self, names: &[String]) -> Result<Scopes, Error> {
        self.choose_among(names, |name| self.management_api.as_ref().is_some_and(|api| api.has_scope(name)))
    }

    fn choose_among(&self, names: &[String], is_reserved: impl Fn(&str) -> bool) -> Result<Scopes, Error> {
        let all = self.all_scopes();
        let known = || format!("available scopes: {all}");
        if names.iter().map(String::as_str).eq(["all"]) && !all.is_empty() {
            return Ok(all);
        }
        if !names.iter().all(|name| is_scope_token(name)) {
            return Err(Error::invalid_scope(format!("invalid scope name (RFC 6749 section 3.3); {}", known())));
        }
        let asked: Scopes = names.iter().cloned().collect();
        if asked.is_empty() {
            return Err(Error::invalid_scope(format!("at least one scope is required; {}", known())));
        }
        if !asked.iter().all(|name| all.contains(name) || is_reserved(name)) {
            return Err(Error::invalid_scope(format!("there is no such scope; {}", known())));
        }
        Ok(asked)
    }
}
