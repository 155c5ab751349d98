//! Owns what is sent to and answered by `/api/v1/profiles`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::engine::profiles::KnownProfile;

/// An API's dialect: where credentials are accepted, what refusals look like, the names of its headers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Profile {
    /// Its name
    #[schema(format = "profile")]
    pub(super) name: String,
    /// Whether it is shipped with grantd and cannot be changed
    pub(super) shipped: bool,
    /// Number of times it was saved; null for shipped ones
    pub(super) revision: Option<i64>,
    /// The definition, as TOML
    pub(super) definition: String,
    /// Warnings about risky settings
    pub(super) warnings: Vec<String>,
    /// Slugs of the APIs that use it
    #[schema(format = "slug")]
    pub(super) apis: Vec<String>,
    /// When it was created
    #[schema(format = "date-time")]
    pub(super) created_at: Option<String>,
    /// When it was last saved
    #[schema(format = "date-time")]
    pub(super) changed_at: Option<String>,
}

/// A profile to create, from a definition or as a copy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProfile {
    /// Its name
    #[schema(format = "profile")]
    pub(super) name: String,
    /// The definition, as TOML. Not with `copy_of`
    #[schema(format = "profile-text")]
    pub(super) definition: Option<String>,
    /// Name of the profile to copy
    #[schema(format = "profile")]
    pub(super) copy_of: Option<String>,
}

/// A new definition of a profile.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetProfile {
    /// The definition, as TOML
    #[schema(format = "profile-text")]
    pub(super) definition: String,
    /// The revision to change; any if left out
    pub(super) revision: Option<i64>,
}

/// The profile to assign.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignProfile {
    /// Its name
    #[schema(format = "profile")]
    pub(super) profile: String,
}

impl From<&KnownProfile> for Profile {
    fn from(known: &KnownProfile) -> Self {
        Self {
            name: known.dialect.name.clone(),
            shipped: known.saved.is_none(),
            revision: known.saved.map(|(revision, ..)| revision),
            definition: known.definition.clone(),
            warnings: known.dialect.places.warnings(),
            apis: known.apis.clone(),
            created_at: known.saved.map(|(_, at, _)| at.rfc3339()),
            changed_at: known.saved.map(|(.., at)| at.rfc3339()),
        }
    }
}
