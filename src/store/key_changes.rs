//! Owns what may be changed of a key while it lives. Does not make or end keys; see `keys`.

use super::{Error, Store, row::binds};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        network::Networks,
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
    ///
    /// # Errors
    /// [`Error::Unavailable`].
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
                let row = tx
                    .row(
                        "UPDATE api_keys SET name = COALESCE($3, name), networks = COALESCE($4, networks), expires_at = COALESCE($5, expires_at)
                         WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
                           AND ($5 IS NULL OR expires_at IS NULL OR expires_at >= $5)
                         RETURNING user_id",
                        binds![&id, now, &changes.name, &networks, changes.expires_at],
                    )
                    .await?;
                let Some(mut row) = row else { return Ok(false) };
                tx.touch(EntityKind::Key, id.as_str());
                tx.audit(now, &origin, Event::new("key.update").user(&row.text(0)?).object(&id)).await?;
                Ok(true)
            })
        })
        .await
    }
}
