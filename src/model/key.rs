//! Owns the API key as its owner sees it.

use super::{clock::Timestamp, error::Error, network::Networks, scope::Scopes};

/// A long-lived credential of a user. The secret itself is not here: it was shown once.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `key_…`, safe to log.
    pub id: String,
    /// The owner.
    pub user_id: String,
    /// What it is for, in its owner's words.
    pub name: String,
    /// How the secret starts, such as `gd_live_`.
    pub prefix: String,
    /// Last four characters of the secret. Those of a key from before schema 16 end in `…`: its checksum followed them.
    pub hint: String,
    /// What it may do.
    pub scopes: Scopes,
    /// What it is for: `live`, `test`, or another name the deployment knows.
    pub environment: String,
    /// How it looks.
    pub form: KeyForm,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// A plan of its own, where it is not measured by its project's or owner's.
    pub plan: Option<String>,
    /// Who is counted by that plan, where it is not the key itself: the first of those that took each other's place.
    pub metered_as: Option<String>,
    /// The key that was created in its place, by rotation or regeneration.
    pub replaced_by: Option<String>,
    /// From where it may be used.
    pub networks: Networks,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last accepted; at most a flush interval old.
    pub last_used_at: Option<Timestamp>,
    /// From which address, as far as it was told.
    pub last_address: Option<String>,
    /// By which `User-Agent`, as far as it was told.
    pub last_agent: Option<String>,
}

/// How a key looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyForm {
    /// `{prefix}_{environment}_…` with a checksum.
    #[default]
    Prefixed,
    /// A random UUID (RFC 9562 §5.4), for APIs whose users know keys as such.
    Uuid,
    /// Whatever it was before it was imported.
    Imported,
}

impl KeyForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Prefixed, Self::Uuid, Self::Imported];

    /// One word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefixed => "prefixed",
            Self::Uuid => "uuid",
            Self::Imported => "imported",
        }
    }

    /// The form of a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == text)
    }
}

impl KeyForm {
    /// The form that is asked for new keys of a project. Imported ones look as they did before.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn choose(text: &str) -> Result<Self, Error> {
        let chosen = Self::parse(text).filter(|form| *form != Self::Imported);
        chosen.ok_or_else(|| Error::invalid_request("key_form is prefixed or uuid"))
    }
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// Accepted.
    Active,
    /// Past its end.
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
    /// Where the key stands at `now`.
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
