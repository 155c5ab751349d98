//! Owns what is sent to and answered by `/api/v1/apis` and `/api/v1/scopes`.

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
    /// Audience URI
    #[schema(format = "identifier")]
    pub(super) identifier: String,
    /// Name to show
    #[schema(format = "name")]
    pub(super) name: String,
    /// How it speaks
    #[schema(format = "profile")]
    pub(super) profile: &'static str,
    /// How its access tokens are signed
    #[schema(format = "algorithm")]
    pub(super) algorithm: &'static str,
    /// Lifetime of its access tokens
    #[schema(minimum = 10, maximum = 86_400)]
    pub(super) access_token_seconds: i64,
    /// An introspection is itself the call that a plan counts
    pub(super) counts_introspection: bool,
    /// The client with which its resource server introspects
    #[schema(format = "client-id")]
    pub(super) client_id: String,
    /// Its scopes
    pub(super) scopes: Vec<Scope>,
}

/// A new API: the only answer that ever shows the secret of its resource server.
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
    /// What it permits, in words
    #[schema(format = "name")]
    pub(super) description: String,
}

/// A permission to register: a scope belongs to exactly one API.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateScope {
    /// The scope-token (RFC 6749 §3.3), neither `all` nor one of grantd's own
    #[schema(format = "new-scope")]
    pub(super) name: String,
    /// What it permits, in words
    #[schema(format = "name")]
    pub(super) description: String,
}

/// A permission, and of which API.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedScope {
    /// The scope-token (RFC 6749 §3.3)
    #[schema(format = "scope")]
    pub(super) name: String,
    /// What it permits, in words
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
    /// Audience URI, such as `https://api.example.com`
    #[schema(format = "identifier")]
    pub(super) identifier: String,
    /// Name to show
    #[schema(format = "name")]
    pub(super) name: String,
    /// Short name in URLs; if left out from the name, which then has letters and digits for at most 60 characters
    #[schema(format = "slug")]
    pub(super) slug: Option<String>,
    /// Its scopes
    #[serde(default)]
    pub(super) scopes: Vec<CreateScope>,
    /// How it speaks: `bearer` (if left out), `telemetry-harbor`, `ensemble`, `api-key-module` or `iapm`
    #[schema(format = "profile")]
    pub(super) profile: Option<String>,
    /// How its access tokens are signed: `ES256` (if left out), `EdDSA` or `RS256`
    #[schema(format = "algorithm")]
    pub(super) algorithm: Option<String>,
    /// Lifetime of its access tokens, 10 to 86400 seconds; an hour if left out
    #[schema(minimum = 10, maximum = 86_400)]
    pub(super) access_token_seconds: Option<i64>,
    /// Whether each introspection counts as a call against the caller's plan
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
            profile: api.profile.as_str(),
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
