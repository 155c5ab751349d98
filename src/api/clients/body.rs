//! Owns the request and response bodies of `/api/v1/clients`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    engine::clients::WithSecret,
    model::{client::Client as Record, clock::Timestamp},
};

/// An OAuth client (RFC 6749 §2).
#[derive(Debug, Serialize, ToSchema)]
pub struct Client {
    /// `client_…`
    #[schema(format = "client-id")]
    pub(super) id: String,
    /// Display name
    #[schema(format = "name")]
    pub(super) name: String,
    /// `public` or `confidential`
    #[schema(format = "client-type")]
    pub(super) r#type: &'static str,
    /// Redirect URIs
    #[schema(max_items = 20, format = "redirect-uri")]
    pub(super) redirect_uris: Vec<String>,
    /// Allowed scopes
    #[schema(format = "scope")]
    pub(super) scopes: Vec<String>,
    /// Allowed grant types
    #[schema(format = "grant-type")]
    pub(super) grant_types: Vec<&'static str>,
    /// Client authentication method
    #[schema(format = "auth-method")]
    pub(super) auth_methods: Vec<&'static str>,
    /// The user who registered it; null if the operator did
    #[schema(format = "user-id")]
    pub(super) user: Option<String>,
    /// The API, if the client is its resource server
    #[schema(format = "api-id")]
    pub(super) api: Option<String>,
    /// Whether it is the operator's own app, for which users are not asked for consent
    pub(super) first_party: bool,
    /// Whether PKCE is required
    pub(super) require_pkce: bool,
    /// Seconds in which a repeated refresh gets the same new token again
    #[schema(minimum = 0, maximum = 60)]
    pub(super) refresh_grace: i64,
    /// False if it, or the user who registered it, is disabled
    pub(super) active: bool,
    /// When it was registered
    #[schema(format = DateTime)]
    pub(super) created_at: String,
}

/// A new client or a new secret. No other response shows the secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeClient {
    #[serde(flatten)]
    pub(super) made: Client,
    /// The secret of a confidential client. It is not shown again
    pub(super) client_secret: Option<String>,
    /// When its other secrets stop working
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(super) others_end_at: Option<String>,
}

impl MadeClient {
    pub(super) fn of(made: &WithSecret) -> Self {
        Self {
            made: made.client.clone().into(),
            client_secret: made.secret.as_ref().map(|secret| secret.expose().to_owned()),
            others_end_at: made.others_end_at.map(Timestamp::rfc3339),
        }
    }
}

/// A client to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateClient {
    /// Name shown on the consent page
    #[schema(format = "name")]
    pub(super) name: String,
    /// `confidential` (the default) or `public`
    #[schema(format = "client-type")]
    pub(super) r#type: Option<String>,
    /// Redirect URIs: https, http on loopback, or a private-use scheme; `authorization_code` needs at least one
    #[serde(default)]
    #[schema(max_items = 20, format = "redirect-uri")]
    pub(super) redirect_uris: Vec<String>,
    /// Allowed scopes, at least one; `["all"]` means every scope of the deployment's own APIs
    #[serde(default)]
    #[schema(required = true, min_items = 1, format = "scope")]
    pub(super) scopes: Vec<String>,
    /// The owner, by id or email; only an administrator may set it. Default: you, or no owner if you are an administrator
    #[schema(format = "who")]
    pub(super) user: Option<String>,
    /// For administrators: allowed grant types; by default `authorization_code` and `refresh_token`. A public client
    /// cannot have `client_credentials`
    #[schema(format = "grant-type")]
    pub(super) grant_types: Option<Vec<String>>,
    /// For administrators: client authentication method; `none` for a public client, another for a confidential one
    #[schema(format = "auth-method")]
    pub(super) auth_method: Option<String>,
    /// For administrators: whether users are not asked for consent
    pub(super) first_party: Option<bool>,
    /// For administrators: whether PKCE is required; a public client always needs it
    pub(super) require_pkce: Option<bool>,
    /// For administrators: seconds, 0 to 60, in which a repeated refresh gets the same new token again
    #[schema(minimum = 0, maximum = 60)]
    pub(super) refresh_grace: Option<i64>,
}

/// Changes to a client; members left out stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeClient {
    /// Name shown on the consent page
    #[schema(format = "name")]
    pub(super) name: Option<String>,
    /// Redirect URIs
    #[schema(max_items = 20, format = "redirect-uri")]
    pub(super) redirect_uris: Option<Vec<String>>,
    /// Allowed scopes
    #[schema(min_items = 1, format = "scope")]
    pub(super) scopes: Option<Vec<String>>,
    /// For administrators: false disables the client, and its tokens stop working immediately
    pub(super) active: Option<bool>,
}

/// How a secret is rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    /// Seconds for which the old secrets keep working: at most 7 days, one day by default
    #[schema(minimum = 0, maximum = 604_800)]
    pub(super) overlap: Option<i64>,
}

/// Filters of the list of clients.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ClientFilter {
    /// Clients of this user, by id or email; for administrators, who otherwise see all clients
    #[param(format = "who")]
    pub(super) user: Option<String>,
}

impl From<Record> for Client {
    fn from(client: Record) -> Self {
        Self {
            id: client.id,
            name: client.name,
            r#type: client.kind.as_str(),
            redirect_uris: client.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
            scopes: client.scopes.iter().map(ToOwned::to_owned).collect(),
            grant_types: client.grant_types.iter().map(|grant| grant.as_str()).collect(),
            auth_methods: client.auth_methods.iter().map(|method| method.as_str()).collect(),
            user: client.owner_id,
            api: client.api_id,
            first_party: client.first_party,
            require_pkce: client.require_pkce,
            refresh_grace: client.refresh_grace_ms / 1000,
            active: client.active,
            created_at: client.created_at.rfc3339(),
        }
    }
}
