//! Owns what may be changed of a key while it lives, and putting another in its place. Does not make or end keys; see `keys`.

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

/// What of a key is changed; what is not here stays.
#[derive(Clone, Debug, Default)]
pub struct KeyChanges {
    /// What it is for.
    pub name: Option<String>,
    /// From where it may be used.
    pub networks: Option<Networks>,
    /// When it ends: earlier than so far.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Changes a live key; false if there is none, or it would end later than so far.
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
                // From where a key works is told apart from what it is called.
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

/// A key that takes the place of another.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The one that ends.
    pub old_id: String,
    /// When; nothing means at once.
    pub old_ends_at: Option<Timestamp>,
    /// Only if it is this user's.
    pub user_id: Option<String>,
    /// Digest of the new one.
    pub digest: Digest,
    /// The new one.
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
                "this key was replaced before, by {successor}: replace that one, or revoke this one"
            )));
        }
        if of.old_ends_at.is_some() && one_live_key == Some(true) {
            return Err(refused(
                "this project has one live key at a time: regenerate it, without an overlap".to_owned(),
            ));
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
        // One that was itself being replaced by the old one has had its time.
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
    /// Keeps a new key in the place of an old one, which ends at `old_ends_at` unless it ends before, or without it at once.
    /// Whatever the old one had replaced and still overlaps with it ends now. False if the old one has ended, or with
    /// `user_id` if it is not that user's.
    ///
    /// # Errors
    /// [`Error::Refused`] when the old one was replaced before, or its project has one live key at a time.
    pub async fn replace_key(&self, now: Timestamp, origin: Origin, replacement: Replacement) -> Result<bool, Error> {
        self.write(now, move |tx| Box::pin(async move { tx.replace_key(now, &origin, &replacement).await })).await
    }
}
