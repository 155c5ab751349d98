//! Owns the API key as shown to its owner.

use super::{clock::Timestamp, error::Error, network::Networks, scope::Scopes};

/// A long-lived credential of a user. The secret itself is not included: it was shown once.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `key_…`, safe to log.
    pub id: String,
    /// The owner.
    pub user_id: String,
    /// Its purpose, as named by its owner.
    pub name: String,
    /// How the secret starts, such as `gd_live_`.
    pub prefix: String,
    /// Last four characters of the secret. For a key from before schema 16 they end in `…`: its checksum followed them.
    pub hint: String,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its environment: `live`, `test`, or another configured name.
    pub environment: String,
    /// Its form.
    pub form: KeyForm,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// A plan of its own, instead of its project's or owner's.
    pub plan: Option<String>,
    /// The key counted for that plan, if not this one: the first in a chain of replacements.
    pub metered_as: Option<String>,
    /// The key that replaced it, by rotation or regeneration.
    pub replaced_by: Option<String>,
    /// The networks in which it may be used.
    pub networks: Networks,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last accepted; out of date by one flush interval at most.
    pub last_used_at: Option<Timestamp>,
    /// The address of its last use, if known.
    pub last_address: Option<String>,
    /// The `User-Agent` of its last use, if known.
    pub last_agent: Option<String>,
}

/// The format of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyForm {
    /// `{prefix}_{environment}_…` with a checksum.
    #[default]
    Prefixed,
    /// A random UUID (RFC 9562 §5.4), for APIs that document keys in this form.
    Uuid,
    /// Imported, in any format.
    Imported,
}

impl KeyForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Prefixed, Self::Uuid, Self::Imported];

    /// The form's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefixed => "prefixed",
            Self::Uuid => "uuid",
            Self::Imported => "imported",
        }
    }

    /// The form with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == text)
    }
}

impl KeyForm {
    /// The form chosen for new keys of a project. `Imported` is not a choice.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn choose(text: &str) -> Result<Self, Error> {
        let chosen = Self::parse(text).filter(|form| *form != Self::Imported);
        chosen.ok_or_else(|| Error::invalid_request("key_form must be prefixed or uuid"))
    }
}

/// The status of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// Accepted.
    Active,
    /// Expired.
    Expired,
    /// Revoked by its owner or an administrator.
    Revoked,
}

impl KeyStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Expired, Self::Revoked];

    /// One word for tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl ApiKey {
    /// The key's status at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if self.revoked_at.is_some() {
            KeyStatus::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyStatus::Expired
        } else {
            KeyStatus::Active
        }
    }
}
