//! Owns the request and response bodies of `/api/v1/apis` and `/api/v1/scopes`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::api::{Api as Record, ApiScope};

/// A protected resource (RFC 8707).
#[derive(Debug, Serialize, ToSchema)]
pub struct Api {
    /// `api_…`
    #[schema(format = "api-id")]
    pub(super) id: String,
    /// Short name in URLs
    #[schema(format = "slug")]
    pub(super) slug: String,
    /// The API's identifier (audience URI)
    #[schema(format = "identifier")]
    pub(super) identifier: String,
    /// Display name
    #[schema(format = "name")]
    pub(super) name: String,
    /// Name of its profile: where it accepts credentials, and the format of its refusals
    #[schema(format = "profile")]
    pub(super) profile: String,
    /// Signing algorithm of its access tokens
    #[schema(format = "algorithm")]
    pub(super) algorithm: &'static str,
    /// Lifetime of its access tokens, in seconds
    #[schema(minimum = 10, maximum = 86_400)]
    pub(super) access_token_seconds: i64,
    /// Whether each introspection counts as a request against the caller's plan
    pub(super) counts_introspection: bool,
    /// The client with which its resource server introspects
    #[schema(format = "client-id")]
    pub(super) client_id: String,
    /// Its scopes
    pub(super) scopes: Vec<Scope>,
}

/// A new API. No other response shows the secret of its resource server.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeApi {
    #[serde(flatten)]
    pub(super) made: Api,
    /// The secret of `client_id`. It is not shown again
    pub(super) client_secret: String,
}

/// A permission of exactly one API.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scope {
    /// The scope-token (RFC 6749 §3.3)
    #[schema(format = "scope")]
    pub(super) name: String,
    /// Description of what it permits
    #[schema(format = "name")]
    pub(super) description: String,
}

/// A scope to register. A scope belongs to exactly one API.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateScope {
    /// The scope-token (RFC 6749 §3.3); not `all`, and not one of grantd's own
    #[schema(format = "new-scope")]
    pub(super) name: String,
    /// Description of what it permits
    #[schema(format = "name")]
    pub(super) description: String,
}

/// A scope and its API.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedScope {
    /// The scope-token (RFC 6749 §3.3)
    #[schema(format = "scope")]
    pub(super) name: String,
    /// Description of what it permits
    #[schema(format = "name")]
    pub(super) description: String,
    /// The API's slug
    #[schema(format = "slug")]
    pub(super) api: String,
}

/// An API to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApi {
    /// The API's identifier (audience URI), such as `https://api.example.com`
    #[schema(format = "identifier")]
    pub(super) identifier: String,
    /// Display name
    #[schema(format = "name")]
    pub(super) name: String,
    /// Short name in URLs. If left out, it is derived from the name, whose letters and digits must then fit in 60 characters
    #[schema(format = "slug")]
    pub(super) slug: Option<String>,
    /// Its scopes
    #[serde(default)]
    pub(super) scopes: Vec<CreateScope>,
    /// Name of its profile: where it accepts credentials, and the format of its refusals; `bearer` by default
    #[schema(format = "profile")]
    pub(super) profile: Option<String>,
    /// Signing algorithm of its access tokens: `ES256` (the default), `EdDSA` or `RS256`
    #[schema(format = "algorithm")]
    pub(super) algorithm: Option<String>,
    /// Lifetime of its access tokens, in seconds: 10 to 86400, 3600 by default
    #[schema(minimum = 10, maximum = 86_400)]
    pub(super) access_token_seconds: Option<i64>,
    /// Whether each introspection counts as a request against the caller's plan
    #[serde(default)]
    pub(super) counts_introspection: bool,
}

impl From<&Record> for Api {
    fn from(api: &Record) -> Self {
        Self {
            id: api.id.clone(),
            slug: api.slug.clone(),
            identifier: api.identifier.clone(),
            name: api.name.clone(),
            profile: api.profile.name.clone(),
            algorithm: api.algorithm.as_str(),
            access_token_seconds: api.access_token_seconds,
            counts_introspection: api.counts_introspection,
            client_id: api.client_id.clone(),
            scopes: api.scopes.iter().map(Into::into).collect(),
        }
    }
}

impl From<&ApiScope> for Scope {
    fn from(scope: &ApiScope) -> Self {
        Self { name: scope.name.clone(), description: scope.description.clone() }
    }
}
