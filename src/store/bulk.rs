//! Owns revoking everything of a kind that was issued within a time: page by page, in the order of the primary key, each
//! page in one transaction.

use super::{Error, Store, row::binds, tx::Tx};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
    },
};

/// Rows read and at most changed in one transaction.
const PAGE: i64 = 500;

/// What may be revoked all together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issued {
    /// Sessions of browsers.
    Sessions,
    /// Grants, with their codes, access tokens and refresh tokens.
    Grants,
    /// API keys.
    Keys,
}

impl Issued {
    /// The last row of a page after `$1`, with its number of rows.
    fn page(self) -> &'static str {
        match self {
            Self::Sessions => {
                "SELECT MAX(digest), COUNT(*) FROM
                 (SELECT digest FROM sessions WHERE digest > $1 ORDER BY digest LIMIT $2) AS page"
            }
            Self::Grants => {
                "SELECT MAX(id), COUNT(*) FROM (SELECT id FROM grants WHERE id > $1 ORDER BY id LIMIT $2) AS page"
            }
            Self::Keys => {
                "SELECT MAX(id), COUNT(*) FROM (SELECT id FROM api_keys WHERE id > $1 ORDER BY id LIMIT $2) AS page"
            }
        }
    }

    /// Revokes what was issued from `$3` and before `$4` of the rows after `$1` up to `$2`, at `$5`.
    fn revoke(self) -> &'static str {
        match self {
            Self::Sessions => {
                "DELETE FROM sessions WHERE digest > $1 AND digest <= $2 AND auth_time >= $3 AND auth_time < $4
                   AND expires_at > $5 RETURNING digest"
            }
            Self::Grants => {
                "UPDATE grants SET revoked_at = $5, revoked_because = 'revoked'
                 WHERE id > $1 AND id <= $2 AND created_at >= $3 AND created_at < $4 AND revoked_at IS NULL
                 RETURNING id"
            }
            Self::Keys => {
                "UPDATE api_keys SET revoked_at = $5
                 WHERE id > $1 AND id <= $2 AND created_at >= $3 AND created_at < $4 AND revoked_at IS NULL
                 RETURNING id"
            }
        }
    }

    fn event(self) -> &'static str {
        match self {
            Self::Sessions => "session.end",
            Self::Grants => "grant.revoke",
            Self::Keys => "key.revoke",
        }
    }

    /// Makes cached answers that depend on these rows stale, on every node.
    fn touch(self, tx: &mut Tx, rows: Vec<String>) {
        match self {
            Self::Sessions => rows.into_iter().for_each(|digest| tx.touch(EntityKind::Session, digest)),
            // Every cached credential depends on the catalog: one change covers all of them.
            Self::Grants | Self::Keys => tx.touch(EntityKind::Catalog, ""),
        }
    }
}

impl Store {
    /// Revokes everything of this kind that was issued from `since` and before `until`. Returns how many. What a failure
    /// leaves, the next call revokes.
    pub async fn revoke_issued(
        &self,
        now: Timestamp,
        origin: Origin,
        kind: Issued,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<i64, Error> {
        let (mut after, mut sum) = (String::new(), 0);
        loop {
            let (last, rows): (Option<String>, i64) = self.one(kind.page(), binds![&after, PAGE]).await?;
            let Some(last) = last else { return Ok(sum) };
            let (from, to, origin) = (after, last.clone(), origin.clone());
            sum += self
                .write(now, move |tx| {
                    Box::pin(async move {
                        let rows: Vec<String> = tx.list(kind.revoke(), binds![&from, &to, since, until, now]).await?;
                        let times = i64::try_from(rows.len()).unwrap_or(i64::MAX);
                        if times > 0 {
                            kind.touch(tx, rows);
                            tx.audit(now, &origin, Event { times, ..Event::new(kind.event()) }).await?;
                        }
                        Ok(times)
                    })
                })
                .await?;
            if rows < PAGE {
                return Ok(sum);
            }
            after = last;
        }
    }
}
