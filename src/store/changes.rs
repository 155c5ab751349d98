//! Owns polling the changes feed. Does not decide what a change means; see `cache`.

use super::{Error, Store, row::binds};
use crate::cache::{Entity, EntityKind};

/// Changes read in one poll; a node that lags further distrusts everything instead.
const POLL_MAX: i64 = 1000;

/// A reader's place in the feed.
#[derive(Debug, Default)]
pub struct ChangeFeed {
    seq: Option<i64>,
}

/// What a poll of the feed has found.
#[derive(Debug)]
#[must_use = "nothing cached is trusted until the poll is confirmed"]
pub struct Poll {
    /// The kinds that changed.
    pub kinds: Vec<EntityKind>,
    began_ms: u64,
}

impl ChangeFeed {
    /// Reads the feed to its end and applies what is new. Whoever holds something of the kinds that changed reads it
    /// again and only then confirms.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; then nothing is confirmed, and soon nothing cached is trusted.
    pub async fn poll(&mut self, store: &Store) -> Result<Poll, Error> {
        let began_ms = store.freshness.steady_ms();
        let newest: Vec<i64> = store.list_as(&store.meter.feed, "SELECT seq FROM feed WHERE id = 1", &[]).await?;
        let newest = newest.into_iter().next().ok_or(Error::Corrupt("the feed has no counter"))?;
        let kinds = match self.seq {
            Some(seq) if seq == newest => Vec::new(),
            Some(seq) if newest > seq && newest - seq <= POLL_MAX => catch_up(store, seq, newest).await?,
            // The first poll, a long absence, or a database put back to an older state.
            _ => distrust(store),
        };
        self.seq = Some(newest);
        Ok(Poll { kinds, began_ms })
    }
}

impl Poll {
    /// Everything that changed was read again: cached answers are good for another second.
    pub fn confirm(&self, store: &Store) {
        store.freshness.confirm(self.began_ms);
    }
}

async fn catch_up(store: &Store, seq: i64, newest: i64) -> Result<Vec<EntityKind>, Error> {
    let sql = "SELECT kind, entity FROM changes WHERE seq > $1 AND seq <= $2 ORDER BY seq";
    let rows: Vec<(String, String)> = store.list_as(&store.meter.feed, sql, binds![seq, newest]).await?;
    // Fewer rows than numbers: some were swept before this node read them.
    if i64::try_from(rows.len()).unwrap_or_default() < newest - seq {
        return Ok(distrust(store));
    }
    let mut entities = Vec::with_capacity(rows.len());
    for (kind, entity) in rows {
        match EntityKind::parse(&kind) {
            Some(kind) => entities.push(Entity::new(kind, entity)),
            // Written by a newer grantd: what it touches is not known here.
            None => return Ok(distrust(store)),
        }
    }
    let kinds = entities.iter().map(|entity| entity.kind).collect();
    store.freshness.apply(entities);
    Ok(kinds)
}

fn distrust(store: &Store) -> Vec<EntityKind> {
    store.freshness.distrust_all();
    vec![EntityKind::Catalog, EntityKind::SigningKeys]
}
