//! Owns polling the changes feed. Does not decide what a change means; see `cache`.

use super::{Error, Store, row::binds};
use crate::cache::{Entity, EntityKind};

/// Changes read in one poll. A node that lags further invalidates its whole cache instead.
const POLL_MAX: i64 = 1000;

/// A reader's position in the feed.
#[derive(Debug, Default)]
pub struct ChangeFeed {
    seq: Option<i64>,
}

/// The result of a poll.
#[derive(Debug)]
#[must_use = "nothing cached is trusted until the poll is confirmed"]
pub struct Poll {
    /// The kinds that changed.
    pub kinds: Vec<EntityKind>,
    began_ms: u64,
}

impl ChangeFeed {
    /// Reads the feed to its end and applies new changes. Callers that hold data of the changed kinds reload it before
    /// they confirm the poll. After an error nothing is confirmed, and cached answers soon expire.
    pub async fn poll(&mut self, store: &Store) -> Result<Poll, Error> {
        let began_ms = store.freshness.steady_ms();
        let newest: Vec<i64> = store.list_as(&store.meter.feed, "SELECT seq FROM feed WHERE id = 1", &[]).await?;
        let newest = newest.into_iter().next().ok_or(Error::Corrupt("the feed has no counter"))?;
        let kinds = match self.seq {
            Some(seq) if seq == newest => Vec::new(),
            Some(seq) if newest > seq && newest - seq <= POLL_MAX => catch_up(store, seq, newest).await?,
            // The first poll, a long absence, or a database restored to an older state.
            _ => distrust(store),
        };
        self.seq = Some(newest);
        Ok(Poll { kinds, began_ms })
    }
}

impl Poll {
    /// Call after everything that changed was reloaded: cached answers are then valid for another second.
    pub fn confirm(&self, store: &Store) {
        store.freshness.confirm(self.began_ms);
    }
}

async fn catch_up(store: &Store, seq: i64, newest: i64) -> Result<Vec<EntityKind>, Error> {
    let sql = "SELECT kind, entity FROM changes WHERE seq > $1 AND seq <= $2 ORDER BY seq";
    let rows: Vec<(String, String)> = store.list_as(&store.meter.feed, sql, binds![seq, newest]).await?;
    // Fewer rows than numbers: some were purged before this node read them.
    if i64::try_from(rows.len()).unwrap_or_default() < newest - seq {
        return Ok(distrust(store));
    }
    let mut entities = Vec::with_capacity(rows.len());
    for (kind, entity) in rows {
        match EntityKind::parse(&kind) {
            Some(kind) => entities.push(Entity::new(kind, entity)),
            // Written by a newer grantd: this version cannot tell what it affects.
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
