//! Owns the `meta` table: facts about the installation itself.

use super::{Error, Store, row::binds, tx::transaction};
use crate::model::clock::Timestamp;

const BACKUP: &str = "backup_at";

impl Store {
    /// Stores `value` under `name` unless there is one; returns the stored value. Two nodes that start together agree.
    pub async fn keep_once(&self, now: Timestamp, name: &'static str, value: String) -> Result<String, Error> {
        transaction!(self, now, |tx| {
            tx.execute(
                "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                binds![name, &value],
            )
            .await?;
            tx.one("SELECT value FROM meta WHERE name = $1", binds![name]).await
        })
    }

    /// The value stored under `name`.
    pub async fn fact(&self, name: &str) -> Result<Option<String>, Error> {
        self.find("SELECT value FROM meta WHERE name = $1", binds![name]).await
    }

    /// Records that a backup was taken.
    pub async fn backed_up(&self, now: Timestamp) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            let keep = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE
                        SET value = excluded.value";
            tx.execute(keep, binds![BACKUP, &now.0.to_string()]).await.map(drop)
        })
    }

    /// When the last recorded backup was taken.
    pub async fn last_backup_at(&self) -> Result<Option<Timestamp>, Error> {
        let kept = self.fact(BACKUP).await?;
        kept.map(|at| at.parse().map(Timestamp).map_err(|_| Error::Corrupt("the time of the last backup"))).transpose()
    }

    /// The time of the newest audit entry: a clock far behind it is wrong.
    pub async fn newest_entry_at(&self) -> Result<Option<Timestamp>, Error> {
        self.find("SELECT at FROM audit ORDER BY at DESC LIMIT 1", &[]).await
    }
}
