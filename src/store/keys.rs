//! Owns the `api_keys` table. Does not make secrets; see `engine::apikey`.

use super::{
    Error, Store,
    row::{Row, binds},
    tx::Tx,
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::Error as ModelError,
        key::ApiKey,
        principal::PrincipalUser,
        secret::Digest,
    },
};

const COLUMNS_KEY: usize = 11;
/// Most live keys of one user, and most keys listed.
const KEYS_MAX: i64 = 500;

/// A key with its owner.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// The key.
    pub key: ApiKey,
    /// Its owner.
    pub user: PrincipalUser,
    /// The owner is disabled.
    pub user_disabled: bool,
}

/// How often a key was accepted since the last flush.
#[derive(Clone, Debug)]
pub struct KeyUse {
    /// `key_…`.
    pub key_id: String,
    /// How often.
    pub times: i64,
    /// When last.
    pub last_used_at: Timestamp,
}

impl Tx {
    async fn insert_key(
        &mut self,
        now: Timestamp,
        origin: &Origin,
        digest: &Digest,
        key: &ApiKey,
    ) -> Result<(), Error> {
        let live = "SELECT COUNT(*) FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
        let count = self.row(live, binds![&key.user_id, now]).await?.ok_or(Error::Corrupt("a count"))?.int(0)?;
        if count >= KEYS_MAX {
            return Err(ModelError::invalid_request(format!(
                "a user has at most {KEYS_MAX} live keys; revoke one first"
            ))
            .into());
        }
        self.execute(
            "INSERT INTO api_keys (id, digest, user_id, name, prefix, hint, scopes, environment, created_at, expires_at, uses)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)",
            binds![
                &key.id,
                &digest.text(),
                &key.user_id,
                &key.name,
                &key.prefix,
                &key.hint,
                &key.scopes.to_string(),
                &key.environment,
                now,
                key.expires_at,
            ],
        )
        .await?;
        self.touch(EntityKind::Key, key.id.as_str());
        self.audit(now, origin, Event::new("key.create").user(&key.user_id).object(&key.id)).await
    }
}

impl Store {
    /// Keeps a new key under the digest of its secret. The same id twice (a form sent twice) is a conflict.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub async fn insert_key(&self, now: Timestamp, origin: Origin, digest: Digest, key: ApiKey) -> Result<(), Error> {
        self.write(now, move |tx| Box::pin(async move { tx.insert_key(now, &origin, &digest, &key).await })).await
    }

    /// The key with this digest, whatever its state.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_key(&self, digest: &Digest) -> Result<Option<KeyRecord>, Error> {
        let row = self
            .row(
                "SELECT k.id, k.user_id, k.name, k.prefix, k.hint, k.scopes, k.environment, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
                        u.name, u.plan, u.disabled_at
                 FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.digest = $1",
                binds![&digest.text()],
            )
            .await?;
        row.map(|mut row| {
            let key = key(&mut row)?;
            let user = PrincipalUser {
                id: key.user_id.clone(),
                name: row.text(COLUMNS_KEY)?,
                plan: row.text(COLUMNS_KEY + 1)?,
            };
            Ok(KeyRecord { key, user, user_disabled: row.opt_int(COLUMNS_KEY + 2)?.is_some() })
        })
        .transpose()
    }

    /// The keys of a user, live ones first, then newest first; at most 500.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_keys(&self, now: Timestamp, user_id: &str) -> Result<Vec<ApiKey>, Error> {
        let rows = self
            .rows(
                "SELECT id, user_id, name, prefix, hint, scopes, environment, created_at, expires_at, revoked_at, last_used_at
                 FROM api_keys WHERE user_id = $1 ORDER BY CASE WHEN revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3) THEN 0 ELSE 1 END, created_at DESC, id LIMIT $2",
                binds![user_id, KEYS_MAX, now],
            )
            .await?;
        rows.into_iter().map(|mut row| key(&mut row)).collect()
    }

    /// Revokes a key; with `user_id`, only that user's. False if there is no such key; true also if it was revoked before.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_key(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        user_id: Option<String>,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let Some(mut row) =
                    tx.row("SELECT user_id, revoked_at FROM api_keys WHERE id = $1", binds![&id]).await?
                else {
                    return Ok(false);
                };
                let owner = row.text(0)?;
                if user_id.is_some_and(|user_id| user_id != owner) {
                    return Ok(false);
                }
                let changed = tx
                    .execute(
                        "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
                        binds![&id, now],
                    )
                    .await?;
                if changed > 0 {
                    tx.touch(EntityKind::Key, id.as_str());
                    tx.audit(now, &origin, Event::new("key.revoke").user(&owner).object(&id)).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    /// Keeps a new key and lets the old one end at `old_ends_at` unless it ends before. False if the old one has ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn rotate_key(
        &self,
        now: Timestamp,
        origin: Origin,
        old_id: String,
        old_ends_at: Timestamp,
        digest: Digest,
        new: ApiKey,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let found = tx
                    .execute(
                        "UPDATE api_keys SET expires_at = CASE WHEN expires_at < $2 THEN expires_at ELSE $2 END
                         WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)",
                        binds![&old_id, old_ends_at, now],
                    )
                    .await?;
                if found > 0 {
                    tx.touch(EntityKind::Key, old_id.as_str());
                    tx.audit(now, &origin, Event::new("key.rotate").user(&new.user_id).object(&old_id)).await?;
                    tx.insert_key(now, &origin, &digest, &new).await?;
                }
                Ok(found > 0)
            })
        })
        .await
    }

    /// The key with this id.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn key_by_id(&self, id: &str) -> Result<Option<ApiKey>, Error> {
        let row = self
            .row(
                "SELECT id, user_id, name, prefix, hint, scopes, environment, created_at, expires_at, revoked_at, last_used_at FROM api_keys WHERE id = $1",
                binds![id],
            )
            .await?;
        row.map(|mut row| key(&mut row)).transpose()
    }

    /// Writes counted uses in one batch. A key's first use is an audit event of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the caller keeps its counts.
    pub async fn flush_key_uses(&self, now: Timestamp, uses: Vec<KeyUse>) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                for usage in uses.into_iter().filter(|usage| usage.times > 0) {
                    let row = tx
                        .row(
                            "UPDATE api_keys SET uses = uses + $2, last_used_at = CASE WHEN last_used_at > $3 THEN last_used_at ELSE $3 END
                             WHERE id = $1 RETURNING uses, user_id",
                            binds![&usage.key_id, usage.times, usage.last_used_at],
                        )
                        .await?;
                    if let Some(mut row) = row
                        && row.int(0)? == usage.times
                    {
                        let origin = Origin { actor: "system".to_owned(), ..Origin::default() };
                        tx.audit(now, &origin, Event::new("key.first_use").user(&row.text(1)?).object(&usage.key_id)).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }
}

fn key(row: &mut Row) -> Result<ApiKey, Error> {
    Ok(ApiKey {
        id: row.text(0)?,
        user_id: row.text(1)?,
        name: row.text(2)?,
        prefix: row.text(3)?,
        hint: row.text(4)?,
        scopes: row.scopes(5)?,
        environment: row.text(6)?,
        created_at: row.at(7)?,
        expires_at: row.opt_at(8)?,
        revoked_at: row.opt_at(9)?,
        last_used_at: row.opt_at(10)?,
    })
}
