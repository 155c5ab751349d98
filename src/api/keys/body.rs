//! Owns what is sent to and answered by `/api/v1/keys`.

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

/// An API key, as its owner sees it. The key itself was shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct Key {
    /// `key_…`
    #[schema(format = "key-id")]
    pub id: String,
    /// Whose it is
    #[schema(format = "user-id")]
    pub user: String,
    /// What it is for
    #[schema(format = "name")]
    pub name: String,
    /// How it begins and ends, by which its owner tells it from others
    pub hint: String,
    /// What it may do
    #[schema(format = "scope")]
    pub scopes: Vec<String>,
    /// `live`, `test`, or another name the deployment configures
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
    /// A plan of its own
    #[schema(format = "name")]
    pub plan: Option<String>,
    /// Networks it may be used from; none means any
    #[schema(format = "network")]
    pub networks: Vec<String>,
    /// When it was made
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ends by itself
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// When it was revoked
    #[schema(format = DateTime)]
    pub revoked_at: Option<String>,
    /// When it was last accepted, as far as it is written down: at most 10 seconds late
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// From which address
    #[schema(format = "address")]
    pub last_address: Option<String>,
    /// By which `User-Agent`
    pub last_agent: Option<String>,
}

/// A key with the places it was used from.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyDetail {
    #[serde(flatten)]
    pub(super) key: Key,
    /// Where it was used, newest first: a /24 of IPv4, a /48 of IPv6
    pub(super) seen_from: Vec<Place>,
}

/// A place a key was used from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Place {
    /// In CIDR notation
    #[schema(format = "network")]
    pub(super) network: String,
    /// When first
    #[schema(format = DateTime)]
    pub(super) first_seen: String,
}

/// A new key: the only answer that ever shows it.
#[derive(Serialize, ToSchema)]
pub struct MadeKey {
    #[serde(flatten)]
    pub(super) made: Key,
    /// The key. It is not shown again
    pub(super) key: String,
    /// The key it takes the place of
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "key-id")]
    pub(super) replaces: Option<String>,
    /// When that one ends
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

/// A key to make. It is never wider than the credential that makes it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// Whose it will be, by id or address, for administrators to choose; else your own
    #[schema(format = "who")]
    pub(super) user: Option<String>,
    /// What it is for
    #[schema(format = "name")]
    pub(super) name: Option<String>,
    /// What it may do: at least one; `["all"]` means every scope of the deployment's own APIs
    #[serde(default)]
    #[schema(required = true, min_items = 1, format = "scope")]
    pub(super) scopes: Vec<String>,
    /// The project it will belong to, by id: one of its owner's
    #[schema(format = "id")]
    pub(super) project: Option<String>,
    /// The first that the deployment configures if left out, which is `live` unless it says otherwise
    #[schema(format = "environment")]
    pub(super) environment: Option<String>,
    /// Networks it may be used from, such as `192.0.2.0/24`; none means any
    #[schema(max_items = 50, format = "network")]
    pub(super) networks: Option<Vec<String>>,
    /// A plan of its own, for administrators to choose
    #[schema(format = "name")]
    pub(super) plan: Option<String>,
    /// Seconds until it ends by itself; never if left out
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub(super) expires_in: Option<i64>,
}

/// Changes of a key; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeKey {
    /// What it is for
    #[schema(format = "name")]
    pub(super) name: Option<String>,
    /// Networks it may be used from; an empty list means any
    #[schema(max_items = 50, format = "network")]
    pub(super) networks: Option<Vec<String>>,
    /// Seconds from now until it ends: sooner than so far
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub(super) expires_in: Option<i64>,
}

/// How a key is rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Seconds for which the old key still works, at most 30 days; a day if left out
    #[schema(minimum = 0, maximum = 2_592_000)]
    pub(super) overlap: Option<i64>,
}

/// Nothing is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Which keys.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KeyFilter {
    /// Of this user, by id or address; for administrators, who else see everybody's
    #[param(format = "who")]
    pub(super) user: Option<String>,
    /// Of this project
    #[param(format = "id")]
    pub(super) project: Option<String>,
    /// For this environment
    pub(super) environment: Option<String>,
    /// `active`, `expired` or `revoked`
    #[param(value_type = Option<String>, format = "key-status")]
    pub(super) status: Option<KeyStatus>,
}

impl Key {
    /// A key at `now`.
    #[must_use]
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
