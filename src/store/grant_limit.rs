//! Owns revoking many grants: those beyond the limit of a user and client, and most of them before an operation that
//! revokes or deletes all. Each transaction changes a bounded number of rows.

use super::{Error, Store, around::Around, row::binds, tx::transaction};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
    },
};

/// Grants or consents changed in one transaction.
const BATCH: i64 = 500;
/// How many an operation on all of them may find: it changes them in its own transaction, so all or none.
const LEFT: i64 = 1000;
/// Most transactions before such an operation.
const BATCHES_MAX: usize = 100_000;

/// The newest grant beyond the limit `$4`. Grants that have ended do not count; those that are older are revoked with it.
const BEYOND: &str = "
    SELECT created_at, id FROM grants
    WHERE user_id = $1 AND client_id = $2 AND revoked_at IS NULL
      AND idle_expires_at > $3 AND (generation > 0 OR code_expires_at > $3)
    ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET $4";
const REVOKE_BEYOND: &str = "
    UPDATE grants SET revoked_at = $3, revoked_because = 'too many' WHERE revoked_at IS NULL AND id IN
    (SELECT id FROM grants WHERE user_id = $1 AND client_id = $2 AND revoked_at IS NULL
       AND (created_at, id) <= ($4, $5) ORDER BY created_at, id LIMIT $6)";
const REVOKE_ALL_BUT: &str = "
    UPDATE grants SET revoked_at = $3, revoked_because = 'revoked' WHERE revoked_at IS NULL AND id IN
    (SELECT id FROM grants WHERE user_id = $1 AND ($2 IS NULL OR client_id = $2) AND revoked_at IS NULL
     LIMIT $4 OFFSET $5)";
const DISABLE_LARGE: &str = "
    UPDATE clients SET disabled_at = COALESCE(disabled_at, $3)
    WHERE id = $1 AND api_id IS NULL AND ($2 IS NULL OR owner_id = $2)
      AND (EXISTS (SELECT 1 FROM grants WHERE client_id = $1 LIMIT 1 OFFSET $4)
        OR EXISTS (SELECT 1 FROM consents WHERE client_id = $1 LIMIT 1 OFFSET $4))";
const DELETE_ALL_BUT: [&str; 2] = [
    "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE client_id = $1 LIMIT $2 OFFSET $3)",
    "DELETE FROM consents WHERE client_id = $1 AND user_id IN
     (SELECT user_id FROM consents WHERE client_id = $1 LIMIT $2 OFFSET $3)",
];

impl Store {
    /// Revokes the oldest grants of this user and client beyond the newest `most`, a bounded number. Returns whether
    /// there may be more.
    pub async fn revoke_oldest_grants(
        &self,
        now: Timestamp,
        user_id: String,
        client_id: String,
        most: u32,
    ) -> Result<bool, Error> {
        let limit = binds![&user_id, &client_id, now, i64::from(most)];
        let Some((created_at, id)) = self.find::<(Timestamp, String)>(BEYOND, limit).await? else { return Ok(false) };
        transaction!(self, now, |tx| {
            let beyond = binds![&user_id, &client_id, now, created_at, &id, BATCH];
            let revoked = tx.execute(REVOKE_BEYOND, beyond).await?;
            if revoked > 0 {
                // Every token of these grants depends on the user: one change covers all of them.
                tx.touch(EntityKind::User, user_id.as_str());
                let event = Event::new("grant.excess").user(&user_id).client(&client_id);
                tx.audit(now, &Origin::system(), Event { times: count(revoked), ..event }).await?;
            }
            Ok(revoked >= BATCH.unsigned_abs())
        })
    }

    /// Before all grants of a user, or of a user and client, are revoked in one transaction: revokes all but so many as
    /// one statement changes in a moment. Usually there are fewer, and nothing happens.
    pub(super) async fn revoke_most_grants(
        &self,
        now: Timestamp,
        origin: &Origin,
        user_id: &str,
        client_id: Option<&str>,
    ) -> Result<(), Error> {
        for _ in 0..BATCHES_MAX {
            let (user_id, client_id, origin) = (user_id.to_owned(), client_id.map(ToOwned::to_owned), origin.clone());
            let revoked = self
                .before_its_response()
                .write(now, move |tx| {
                    Box::pin(async move {
                        let all_but = binds![&user_id, &client_id, now, BATCH, LEFT];
                        let revoked = tx.execute(REVOKE_ALL_BUT, all_but).await?;
                        if revoked > 0 {
                            tx.touch(EntityKind::User, user_id.as_str());
                            let event = Event { client_id, ..Event::new("grant.revoke").user(&user_id) };
                            tx.audit(now, &origin, Event { times: count(revoked), ..event }).await?;
                        }
                        Ok(revoked)
                    })
                })
                .await?;
            if revoked == 0 {
                return Ok(());
            }
        }
        Err(Error::Unavailable("grants are created faster than they are revoked".to_owned()))
    }

    /// Before a client is deleted with its grants and consents: if it has many, disables it and deletes most of them. A
    /// failure leaves a disabled client, which can be deleted again.
    pub(super) async fn empty_client(
        &self,
        now: Timestamp,
        origin: &Origin,
        id: &str,
        owner_id: Option<&str>,
    ) -> Result<(), Error> {
        let (client_id, owner_id, origin) = (id.to_owned(), owner_id.map(ToOwned::to_owned), origin.clone());
        let is_large = self
            .before_its_response()
            .write(now, move |tx| {
                Box::pin(async move {
                    let found = tx.execute(DISABLE_LARGE, binds![&client_id, &owner_id, now, LEFT]).await? > 0;
                    if found {
                        tx.touch(EntityKind::Client, client_id.as_str());
                        let event = Event { user_id: owner_id, ..Event::new("client.disable").client(&client_id) };
                        tx.audit(now, &origin, event).await?;
                    }
                    Ok(found)
                })
            })
            .await?;
        for sql in DELETE_ALL_BUT.into_iter().filter(|_| is_large) {
            for _ in 0..BATCHES_MAX {
                let id = id.to_owned();
                let store = self.before_its_response();
                let deleted = store
                    .write(now, move |tx| Box::pin(async move { tx.execute(sql, binds![&id, BATCH, LEFT]).await }));
                if deleted.await? == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// This store without the response that belongs to the operation's last transaction.
    fn before_its_response(&self) -> Self {
        Self { around: Around { response: None, ..self.around.clone() }, ..self.clone() }
    }
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations;

    #[test]
    fn the_oldest_grants_are_found_by_their_index() {
        let database = rusqlite::Connection::open_in_memory().expect("a database");
        migrations::sqlite(&database).expect("the schema");
        for (sql, steps) in
            [(BEYOND, "user_id=? AND client_id=?"), (REVOKE_BEYOND, "user_id=? AND client_id=? AND created_at<?")]
        {
            let mut plan = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
            let (mut rows, mut lines) = (plan.raw_query(), Vec::<String>::new());
            while let Some(row) = rows.next().expect("a line") {
                lines.push(row.get(3).expect("text"));
            }
            let by_index = format!("SEARCH grants USING INDEX grants_live ({steps})");
            assert!(lines.iter().any(|line| line.starts_with(&by_index)), "{lines:#?}");
            assert!(!lines.iter().any(|line| line.contains("SCAN grants")), "{lines:#?}");
            // At most the ties of one moment are sorted.
            assert!(!lines.iter().any(|line| line == "USE TEMP B-TREE FOR ORDER BY"), "{lines:#?}");
        }
    }
}
