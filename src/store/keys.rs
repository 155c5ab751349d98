//! Owns the `api_keys` table: creating, finding and revoking keys. Does not create secrets (see `engine::new_key`) or
//! count uses (see `usage`).

use std::time::Duration;

use super::{
    Error, Store,
    row::{Read, Row, binds, column, record},
    tx::{Tx, transaction},
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::Error as ModelError,
        key::{ApiKey, KeyForm},
        network::Networks,
        policy::{KEYS_A_DAY, KEYS_MAX},
        principal::{PrincipalUser, Quota},
        secret::Digest,
    },
};

record! {
    key_columns: ApiKey {
        id: "k.id", user_id: "k.user_id", name: "k.name", prefix: "k.prefix", hint: "k.hint", scopes: "k.scopes",
        environment: "k.environment", form: "k.form", project_id: "k.project_id", plan: "k.plan",
        networks: "k.networks", created_at: "k.created_at", expires_at: "k.expires_at", revoked_at: "k.revoked_at",
        last_used_at: "k.last_used_at", last_address: "k.last_address", last_agent: "k.last_agent",
        metered_as: "k.metered_as", replaced_by: "k.replaced_by",
    }
}
pub(super) use key_columns;
column!(KeyForm, KeyForm::parse, "a key's form");
column!(Networks, |text| Networks::parse(text).ok(), "a key's networks");

const FIND: &str = concat!("SELECT ", key_columns!(), " FROM api_keys k WHERE k.id = $1");
/// Includes the owner's and the project's name, plan and state.
const FIND_BY_DIGEST: &str = concat!(
    "SELECT ",
    key_columns!(),
    ", u.name, u.plan, u.disabled_at, p.name, p.plan, p.disabled_by, k.is_for_both
     FROM api_keys k JOIN users u ON u.id = k.user_id LEFT JOIN projects p ON p.id = k.project_id WHERE k.digest = $1"
);
/// Locks a project's row until the commit, so that concurrent new keys are checked one after the other.
const LOCK_PROJECT: &str =
    "UPDATE projects SET name = name WHERE id = $1 RETURNING one_live_key, disabled_by IS NOT NULL";
/// Name of the `meta` entry that is set once keys of arbitrary form exist.
const HAS_OPAQUE_KEYS: &str = "has_opaque_keys";

/// Queries for the live and the ended keys of one owner. Each walks an index until it has enough rows. The second runs
/// only when there are few live keys to skip.
macro_rules! list_keys {
    ($owner:literal) => {
        (
            concat!(
                "SELECT ",
                key_columns!(),
                " FROM api_keys k WHERE k.",
                $owner,
                " = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)
                 ORDER BY k.created_at DESC, k.id DESC LIMIT $3"
            ),
            concat!(
                "SELECT ",
                key_columns!(),
                " FROM api_keys k WHERE k.",
                $owner,
                " = $1 AND (k.revoked_at IS NOT NULL OR k.expires_at <= $2)
                 ORDER BY k.created_at DESC, k.id DESC LIMIT $3"
            ),
        )
    };
}
const USERS_KEYS: (&str, &str) = list_keys!("user_id");
const PROJECTS_KEYS: (&str, &str) = list_keys!("project_id");

/// A key with everything that determines its validity.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// The key.
    pub key: ApiKey,
    /// The owner.
    pub user: PrincipalUser,
    /// The project's id and name.
    pub project: Option<(String, String)>,
    /// The plan that limits it.
    pub quota: Quota,
    /// Whether the owner or project is disabled.
    pub disabled: bool,
    /// Whether other APIs accept it although it has scopes of the management API: only a key from before schema 24.
    pub is_for_both: bool,
}

impl Tx {
    /// Stores a new key, if its owner has not reached the limit.
    async fn insert_key(
        &mut self,
        now: Timestamp,
        origin: &Origin,
        digest: &Digest,
        key: &ApiKey,
    ) -> Result<(), Error> {
        self.check_user(&key.user_id).await?;
        // Counts no more rows than needed: an owner of imported keys may have a million.
        let live = "SELECT COUNT(*) FROM (SELECT id FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > $2) LIMIT $3) AS live";
        if self.one::<i64>(live, binds![&key.user_id, now, KEYS_MAX]).await? >= KEYS_MAX {
            return Err(refused(format!("a user can have at most {KEYS_MAX} active keys; revoke one first")));
        }
        self.keep_key(now, origin, digest, key).await
    }

    /// Stores a key without checking the owner's live keys: a replacement does not increase their number.
    pub(super) async fn keep_key(
        &mut self,
        now: Timestamp,
        origin: &Origin,
        digest: &Digest,
        key: &ApiKey,
    ) -> Result<(), Error> {
        let today = "SELECT COUNT(*) FROM (SELECT id FROM api_keys WHERE user_id = $1 AND created_at > $2
                     AND form <> 'imported' LIMIT $3) AS made";
        let a_day_ago = now - Duration::from_hours(24);
        if self.one::<i64>(today, binds![&key.user_id, a_day_ago, KEYS_A_DAY]).await? >= KEYS_A_DAY {
            return Err(refused(format!("a user can create at most {KEYS_A_DAY} keys within 24 hours")));
        }
        self.check_plan(key.plan.as_deref()).await?;
        if let Some(project) = &key.project_id {
            self.check_policy(now, project).await?;
        }
        self.execute(
            "INSERT INTO api_keys (id, digest, user_id, name, prefix, hint, scopes, environment, form, project_id,
             plan, networks, created_at, expires_at, uses, metered_as)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, $15)",
            binds![
                &key.id,
                &digest.text(),
                &key.user_id,
                &key.name,
                &key.prefix,
                &key.hint,
                &key.scopes.to_string(),
                &key.environment,
                key.form.as_str(),
                &key.project_id,
                &key.plan,
                &key.networks.to_string(),
                now,
                key.expires_at,
                &key.metered_as,
            ],
        )
        .await?;
        if key.form != KeyForm::Prefixed {
            self.note_opaque_keys().await?;
        }
        self.touch(EntityKind::Key, key.id.as_str());
        self.audit(now, origin, Event::new("key.create").user(&key.user_id).object(&key.id)).await
    }

    /// Checks that the project may have one more key.
    pub(super) async fn check_policy(&mut self, now: Timestamp, project: &str) -> Result<(), Error> {
        let (one_live_key, disabled) = self
            .find::<(bool, bool)>(LOCK_PROJECT, binds![project])
            .await?
            .ok_or_else(|| Error::from(ModelError::no_such("project")))?;
        if disabled {
            return Err(refused("the project is disabled".to_owned()));
        }
        let live = "SELECT COUNT(*) FROM api_keys WHERE project_id = $1 AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > $2)";
        if one_live_key && self.one::<i64>(live, binds![project, now]).await? > 0 {
            return Err(refused("this project allows one active key; regenerate it, or revoke it first".to_owned()));
        }
        Ok(())
    }

    async fn end_key(
        &mut self,
        now: Timestamp,
        origin: &Origin,
        id: &str,
        user_id: Option<&str>,
        event: &'static str,
    ) -> Result<Ended, Error> {
        let owner = self.find::<String>("SELECT user_id FROM api_keys WHERE id = $1", binds![id]).await?;
        let Some(owner) = owner else { return Ok(Ended::Nothing) };
        if user_id.is_some_and(|user_id| user_id != owner) {
            return Ok(Ended::Nothing);
        }
        let sql = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        if self.execute(sql, binds![id, now]).await? == 0 {
            return Ok(Ended::Before);
        }
        self.touch(EntityKind::Key, id);
        self.audit(now, origin, Event::new(event).user(&owner).object(id)).await?;
        Ok(Ended::Now)
    }

    /// Records that keys of arbitrary form exist. Every node is notified the first time.
    pub(super) async fn note_opaque_keys(&mut self) -> Result<(), Error> {
        let sql = "INSERT INTO meta (name, value) VALUES ($1, 'yes') ON CONFLICT (name) DO NOTHING";
        if self.execute(sql, binds![HAS_OPAQUE_KEYS]).await? > 0 {
            self.touch(EntityKind::Catalog, "");
        }
        Ok(())
    }
}

/// Result of revoking a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Now,
    Before,
    Nothing,
}

impl Store {
    /// Stores a new key under the digest of its secret. A duplicate id (a form submitted twice) is a conflict.
    pub async fn insert_key(&self, now: Timestamp, origin: Origin, digest: Digest, key: ApiKey) -> Result<(), Error> {
        transaction!(self, now, |tx| tx.insert_key(now, &origin, &digest, &key).await)
    }

    /// The key with this digest, in any state.
    pub async fn find_key_by_digest(&self, digest: &Digest) -> Result<Option<KeyRecord>, Error> {
        self.find(FIND_BY_DIGEST, binds![&digest.text()]).await
    }

    /// Whether there are keys of arbitrary form: imported ones and UUIDs.
    pub async fn has_opaque_keys(&self) -> Result<bool, Error> {
        Ok(self.fact(HAS_OPAQUE_KEYS).await?.is_some())
    }

    /// The keys of a user, or of one of the user's projects; live ones first, then newest first; at most 500.
    pub async fn list_keys(
        &self,
        now: Timestamp,
        user_id: &str,
        project_id: Option<&str>,
    ) -> Result<Vec<ApiKey>, Error> {
        let (live, ended) = if project_id.is_some() { PROJECTS_KEYS } else { USERS_KEYS };
        let of = project_id.unwrap_or(user_id);
        let mut keys = self.list(live, binds![of, now, KEYS_MAX]).await?;
        let room = KEYS_MAX.saturating_sub_unsigned(keys.len().try_into().unwrap_or(u64::MAX));
        if room > 0 {
            keys.extend(self.list(ended, binds![of, now, room]).await?);
        }
        Ok(keys)
    }

    /// Revokes a key; with `user_id`, only that user's. Returns false if there is none, true if it was already revoked.
    pub async fn revoke_key(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        user_id: Option<String>,
    ) -> Result<bool, Error> {
        let ended =
            transaction!(self, now, |tx| { tx.end_key(now, &origin, &id, user_id.as_deref(), "key.revoke").await })?;
        Ok(ended != Ended::Nothing)
    }

    /// Revokes a key that was found in public. Returns true if it was live until now.
    pub async fn revoke_leaked_key(&self, now: Timestamp, origin: Origin, id: String) -> Result<bool, Error> {
        let ended = transaction!(self, now, |tx| tx.end_key(now, &origin, &id, None, "key.leaked").await)?;
        Ok(ended == Ended::Now)
    }

    /// The key with this id.
    pub async fn find_key(&self, id: &str) -> Result<Option<ApiKey>, Error> {
        self.find(FIND, binds![id]).await
    }
}

impl Read for KeyRecord {
    fn read(row: &mut Row) -> Result<Self, Error> {
        let key = ApiKey::read(row)?;
        let (name, users_plan, user_disabled_at): (_, _, Option<Timestamp>) = Read::read(row)?;
        let (project, projects_plan, project_disabled_by): (_, _, Option<String>) = Read::read(row)?;
        let is_for_both = Read::read(row)?;
        let user = PrincipalUser { id: key.user_id.clone(), name };
        let project: Option<(String, String)> = key.project_id.clone().zip(project);
        let quota = match (&key.plan, projects_plan, &project) {
            (Some(plan), ..) => {
                let subject = key.metered_as.as_ref().unwrap_or(&key.id).clone();
                Quota { plan: plan.clone(), subject }
            }
            (None, Some(plan), Some((project, _))) => Quota { plan, subject: project.clone() },
            _ => Quota { plan: users_plan, subject: key.user_id.clone() },
        };
        let disabled = user_disabled_at.is_some() || project_disabled_by.is_some();
        Ok(Self { key, user, project, quota, disabled, is_for_both })
    }
}

pub(super) fn refused(description: String) -> Error {
    ModelError::invalid_request(description).into()
}
