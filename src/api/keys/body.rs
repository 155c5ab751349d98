//! Owns the request and response bodies of `/api/v1/keys`.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    engine::keys::Created,
    model::{
        clock::Timestamp,
        key::{ApiKey, KeyStatus},
    },
};

/// An API key, as its owner sees it. The key itself was shown only once.
#[derive(Debug, Serialize, ToSchema)]
pub struct Key {
    /// `key_…`
    #[schema(format = "key-id")]
    pub id: String,
    /// The owner
    #[schema(format = "user-id")]
    pub user: String,
    /// What the key is for
    #[schema(format = "name")]
    pub name: String,
    /// How it begins and ends, so that its owner recognizes it
    pub hint: String,
    /// Scopes. With one that begins with `grantd:`, the key is for the management API: other APIs refuse it, unless it was
    /// created before this rule and also has their scopes
    #[schema(format = "scope")]
    pub scopes: Vec<String>,
    /// `live`, `test`, or another configured name
    #[schema(format = "environment")]
    pub environment: String,
    /// `prefixed`, `uuid` or `imported`
    #[schema(format = "key-form")]
    pub form: &'static str,
    /// `active`, `expired` or `revoked`
    #[schema(format = "key-status")]
    pub status: &'static str,
    /// The project it belongs to
    #[schema(format = "project-id")]
    pub project: Option<String>,
    /// The key's own plan
    #[schema(format = "name")]
    pub plan: Option<String>,
    /// Allowed networks; empty means any
    #[schema(format = "network")]
    pub networks: Vec<String>,
    /// When it was created
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it expires
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// When it was revoked
    #[schema(format = DateTime)]
    pub revoked_at: Option<String>,
    /// When it was last accepted, at most 10 seconds out of date
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// Address of the last accepted request
    #[schema(format = "address")]
    pub last_address: Option<String>,
    /// `User-Agent` of the last accepted request
    pub last_agent: Option<String>,
}

/// A key with the networks it was used from.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyDetail {
    #[serde(flatten)]
    pub(super) key: Key,
    /// Networks it was used from, newest first: a /24 of IPv4, a /48 of IPv6
    pub(super) seen_from: Vec<Place>,
}

/// A network a key was used from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Place {
    /// In CIDR notation
    #[schema(format = "network")]
    pub(super) network: String,
    /// First use
    #[schema(format = DateTime)]
    pub(super) first_seen: String,
}

/// A new key. No other response shows it.
#[derive(Serialize, ToSchema)]
pub struct MadeKey {
    #[serde(flatten)]
    pub(super) made: Key,
    /// The key. It is not shown again
    pub(super) key: String,
    /// The key it replaces
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "key-id")]
    pub(super) replaces: Option<String>,
    /// When the replaced key stops working
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(super) old_ends_at: Option<String>,
}

impl fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeKey").field("made", &self.made).finish_non_exhaustive()
    }
}

impl MadeKey {
    pub(super) fn of(now: Timestamp, created: &Created) -> Self {
        let (replaces, old_ends_at) = created.replaces.clone().unzip();
        Self {
            made: Key::of(now, created.key.clone()),
            key: created.secret.expose().to_owned(),
            replaces,
            old_ends_at: old_ends_at.map(Timestamp::rfc3339),
        }
    }
}

/// A key to create. It can never do more than the credential that creates it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// The owner, by id or email; only an administrator may set it. Default: you
    #[schema(format = "who")]
    pub(super) user: Option<String>,
    /// What the key is for
    #[schema(format = "name")]
    pub(super) name: Option<String>,
    /// Scopes, at least one; `["all"]` means every scope of the deployment's own APIs. With one that begins with `grantd:`,
    /// the key is for the management API: other APIs refuse it, and its other scopes are for the keys it creates
    #[serde(default)]
    #[schema(required = true, min_items = 1, format = "scope")]
    pub(super) scopes: Vec<String>,
    /// Id of one of the owner's projects
    #[schema(format = "id")]
    pub(super) project: Option<String>,
    /// The environment; by default the first of its project, else the first configured, which is `live` unless configured
    /// otherwise
    #[schema(format = "environment")]
    pub(super) environment: Option<String>,
    /// Allowed networks, such as `192.0.2.0/24`; empty means any
    #[schema(max_items = 50, format = "network")]
    pub(super) networks: Option<Vec<String>>,
    /// The key's own plan; only an administrator may set it
    #[schema(format = "name")]
    pub(super) plan: Option<String>,
    /// Seconds until it expires. Default: as its project says, else never
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub(super) expires_in: Option<i64>,
}

/// Changes to a key; members left out stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeKey {
    /// What the key is for
    #[schema(format = "name")]
    pub(super) name: Option<String>,
    /// Allowed networks; empty means any
    #[schema(max_items = 50, format = "network")]
    pub(super) networks: Option<Vec<String>>,
    /// Seconds from now until it expires; can only shorten its lifetime
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub(super) expires_in: Option<i64>,
}

/// How to rotate a key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Seconds for which the old key keeps working: at most 30 days, one day by default
    #[schema(minimum = 0, maximum = 2_592_000)]
    pub(super) overlap: Option<i64>,
}

/// An empty object.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Filters of the list of keys.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KeyFilter {
    /// Keys of this user, by id or email; for administrators, who otherwise see all keys
    #[param(format = "who")]
    pub(super) user: Option<String>,
    /// Keys of this project
    #[param(format = "id")]
    pub(super) project: Option<String>,
    /// Keys for this environment
    pub(super) environment: Option<String>,
    /// `active`, `expired` or `revoked`
    #[param(value_type = Option<String>, format = "key-status")]
    pub(super) status: Option<KeyStatus>,
}

impl Key {
    /// A key at `now`.
    pub fn of(now: Timestamp, key: ApiKey) -> Self {
        Self {
            hint: format!("{}…{}", key.prefix, key.hint),
            status: key.status(now).as_str(),
            id: key.id,
            user: key.user_id,
            name: key.name,
            scopes: key.scopes.iter().map(ToOwned::to_owned).collect(),
            environment: key.environment,
            form: key.form.as_str(),
            project: key.project_id,
            plan: key.plan,
            networks: key.networks.iter().collect(),
            created_at: key.created_at.rfc3339(),
            expires_at: key.expires_at.map(Timestamp::rfc3339),
            revoked_at: key.revoked_at.map(Timestamp::rfc3339),
            last_used_at: key.last_used_at.map(Timestamp::rfc3339),
            last_address: key.last_address,
            last_agent: key.last_agent,
        }
    }
}
