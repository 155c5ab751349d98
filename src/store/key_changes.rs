//! Owns changing and replacing live keys. Does not create or revoke keys; see `keys`.

use super::{Error, Store, keys::refused, row::binds, tx::Tx};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        key::ApiKey,
        network::Networks,
        secret::Digest,
    },
};

/// Changes to a key; `None` leaves a field unchanged.
#[derive(Clone, Debug, Default)]
pub struct KeyChanges {
    /// Display name.
    pub name: Option<String>,
    /// Networks from which it may be used.
    pub networks: Option<Networks>,
    /// When it expires: not later than before.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Changes a live key; returns false if there is none, or if the change would extend its life.
    pub async fn update_key(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        changes: KeyChanges,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let networks = changes.networks.map(|networks| networks.to_string());
                let user_id: Option<String> = tx
                    .find(
                        "UPDATE api_keys SET name = COALESCE($3, name), networks = COALESCE($4, networks),
                         expires_at = COALESCE($5, expires_at)
                         WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
                           AND ($5 IS NULL OR expires_at IS NULL OR expires_at >= $5)
                         RETURNING user_id",
                        binds![&id, now, &changes.name, &networks, changes.expires_at],
                    )
                    .await?;
                let Some(user_id) = user_id else { return Ok(false) };
                tx.touch(EntityKind::Key, id.as_str());
                // Changes to networks have an audit event of their own.
                if networks.is_some() {
                    tx.audit(now, &origin, Event::new("key.networks").user(&user_id).object(&id)).await?;
                }
                if changes.name.is_some() || changes.expires_at.is_some() {
                    tx.audit(now, &origin, Event::new("key.update").user(&user_id).object(&id)).await?;
                }
                Ok(true)
            })
        })
        .await
    }
}

/// A key that replaces another.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The key that is replaced.
    pub old_id: String,
    /// When the old key ends; `None` means at once.
    pub old_ends_at: Option<Timestamp>,
    /// If set, only that user's key is replaced.
    pub user_id: Option<String>,
    /// Digest of the new key.
    pub digest: Digest,
    /// The new key.
    pub new: ApiKey,
}

impl Tx {
    async fn replace_key(&mut self, now: Timestamp, origin: &Origin, of: &Replacement) -> Result<bool, Error> {
        self.check_user(&of.new.user_id).await?;
        let found: Option<(Option<String>, Option<bool>)> = self
            .find(
                "SELECT k.replaced_by, p.one_live_key FROM api_keys k LEFT JOIN projects p ON p.id = k.project_id
                 WHERE k.id = $1 AND ($2 IS NULL OR k.user_id = $2) AND k.revoked_at IS NULL
                 AND (k.expires_at IS NULL OR k.expires_at > $3)",
                binds![&of.old_id, &of.user_id, now],
            )
            .await?;
        let Some((replaced_by, one_live_key)) = found else { return Ok(false) };
        if let Some(successor) = replaced_by {
            return Err(refused(format!(
                "this key was already replaced by {successor}; replace that one, or revoke this one"
            )));
        }
        if of.old_ends_at.is_some() && one_live_key == Some(true) {
            return Err(refused("this project allows one active key; regenerate it without an overlap".to_owned()));
        }
        let sql = match of.old_ends_at {
            Some(_) => {
                "UPDATE api_keys SET expires_at = CASE WHEN expires_at < $2 THEN expires_at ELSE $2 END,
                 replaced_by = $4
                 WHERE id = $1 AND replaced_by IS NULL AND revoked_at IS NULL
                 AND (expires_at IS NULL OR expires_at > $3)"
            }
            None => {
                "UPDATE api_keys SET revoked_at = $2, replaced_by = $4
                 WHERE id = $1 AND replaced_by IS NULL AND revoked_at IS NULL
                 AND (expires_at IS NULL OR expires_at > $3)"
            }
        };
        if self.execute(sql, binds![&of.old_id, of.old_ends_at.unwrap_or(now), now, &of.new.id]).await? == 0 {
            return Ok(false);
        }
        self.touch(EntityKind::Key, of.old_id.as_str());
        // Revoke keys that the old key had itself replaced.
        let before: Vec<String> = self
            .list(
                "UPDATE api_keys SET revoked_at = $2 WHERE replaced_by = $1 AND revoked_at IS NULL
                 AND (expires_at IS NULL OR expires_at > $2) RETURNING id",
                binds![&of.old_id, now],
            )
            .await?;
        for key in before {
            self.touch(EntityKind::Key, key);
        }
        let event = if of.old_ends_at.is_some() { "key.rotate" } else { "key.regenerate" };
        self.audit(now, origin, Event::new(event).user(&of.new.user_id).object(&of.old_id)).await?;
        self.keep_key(now, origin, &of.digest, &of.new).await?;
        Ok(true)
    }
}

impl Store {
    /// Stores a new key that replaces an old one. The old one ends at `old_ends_at` at the latest, or at once without
    /// it. Live keys that it had replaced are revoked at once. Returns false if the old one has ended, or if `user_id`
    /// is given and is not its owner.
    ///
    /// # Errors
    /// [`Error::Refused`] when the old key was already replaced, or its project allows one live key at a time.
    pub async fn replace_key(&self, now: Timestamp, origin: Origin, replacement: Replacement) -> Result<bool, Error> {
        self.write(now, move |tx| Box::pin(async move { tx.replace_key(now, &origin, &replacement).await })).await
    }
}
