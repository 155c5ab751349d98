//! Owns the `meta` table: facts about the installation itself. Does not hold configuration.

use super::{Error, Store, row::binds};
use crate::model::clock::Timestamp;

impl Store {
    /// The value kept under `name`, after keeping `value` if there was none. Two nodes that start together agree.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn keep_once(&self, now: Timestamp, name: &'static str, value: String) -> Result<String, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                tx.execute(
                    "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                    binds![name, &value],
                )
                .await?;
                tx.row("SELECT value FROM meta WHERE name = $1", binds![name])
                    .await?
                    .ok_or(Error::Corrupt("meta is empty"))?
                    .text(0)
            })
        })
        .await
    }

    /// The time of the newest audit entry: a clock far behind it is wrong.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn newest_entry_at(&self) -> Result<Option<Timestamp>, Error> {
        match self.row("SELECT at FROM audit ORDER BY at DESC LIMIT 1", &[]).await? {
            Some(row) => row.opt_at(0),
            None => Ok(None),
        }
    }
}
