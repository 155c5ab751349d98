//! Owns the `routes` table: the rules of an API, in the order in which they are evaluated.

use super::{
    Error, Store,
    row::binds,
    tx::{Tx, transaction},
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::{Error as ModelError, ErrorCode},
        policy::RULES_MAX,
        rule::Rule,
    },
};

/// Locks an API's row until the commit, so that concurrent changes to its rules run one after the other.
const LOCK_API: &str = "UPDATE apis SET name = name WHERE id = $1";

/// The position of a new rule among those of its API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulePlace {
    /// After all others.
    Last,
    /// Before all others.
    First,
    /// Directly before the rule with this id.
    Before(String),
}

impl Store {
    /// Adds a rule at the given place.
    pub async fn insert_rule(
        &self,
        now: Timestamp,
        origin: Origin,
        api_id: String,
        rule: Rule,
        place: RulePlace,
    ) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            let rules = tx.lock_rules(&api_id).await?;
            if rules.len() >= RULES_MAX {
                return Err(ModelError::invalid_request(format!("an API can have at most {RULES_MAX} rules")).into());
            }
            let after_last = rules.last().map_or(1, |(_, position)| position + 1);
            let position = match place {
                RulePlace::Last => after_last,
                RulePlace::First => rules.first().map_or(after_last, |(_, position)| position - 1),
                RulePlace::Before(id) => {
                    let found = rules.iter().position(|(rule, _)| *rule == id);
                    let at = found.ok_or_else(|| ModelError::invalid_request("`before` is not a rule of this API"))?;
                    // Rules created concurrently may share a position: renumber the rest so that each has its own.
                    for (next, (rule, _)) in (after_last + 1..).zip(&rules[at..]) {
                        tx.execute("UPDATE routes SET position = $2 WHERE id = $1", binds![rule, next]).await?;
                    }
                    after_last
                }
            };
            tx.execute(
                "INSERT INTO routes (id, api_id, position, method, pattern, scopes, public)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                binds![&rule.id, &api_id, position, &rule.method, &rule.pattern, &rule.scopes.to_string(), rule.public],
            )
            .await?;
            tx.touch(EntityKind::Catalog, "");
            tx.audit(now, &origin, Event::new("route.create").object(&rule.id)).await
        })
    }

    /// Removes a rule; returns false if there is none. An API without rules accepts each of its credentials on every
    /// path, so the last rule is removed only if `open` confirms it.
    pub async fn delete_rule(&self, now: Timestamp, origin: Origin, id: String, open: bool) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            let found = tx.find::<String>("SELECT api_id FROM routes WHERE id = $1", binds![&id]).await?;
            let Some(api_id) = found else { return Ok(false) };
            let rules = tx.lock_rules(&api_id).await?;
            if !rules.iter().any(|(rule, _)| *rule == id) {
                return Ok(false);
            }
            if rules.len() == 1 && !open {
                let message = "this is the API's last rule: without it every credential for the API passes \
                               everywhere; pass open=yes to confirm";
                return Err(ModelError::new(ErrorCode::Conflict, message).into());
            }
            tx.execute("DELETE FROM routes WHERE id = $1", binds![&id]).await?;
            tx.touch(EntityKind::Catalog, "");
            tx.audit(now, &origin, Event::new("route.delete").object(&id)).await?;
            Ok(true)
        })
    }
}

impl Tx {
    /// An API's rules with their positions, in the order of evaluation; locks the API's row.
    async fn lock_rules(&mut self, api_id: &str) -> Result<Vec<(String, i64)>, Error> {
        self.execute(LOCK_API, binds![api_id]).await?;
        self.list("SELECT id, position FROM routes WHERE api_id = $1 ORDER BY position, id", binds![api_id]).await
    }
}
