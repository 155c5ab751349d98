//! Owns the `routes` table: the rules of an API, in the order in which they are evaluated.

use super::{
    Error, Store,
    apis::rule_columns,
    row::{Bind, binds},
    tx::{Tx, transaction},
};
use crate::{
    cache::EntityKind,
    model::{
        api::ApiScope,
        audit::{Event, Origin},
        clock::Timestamp,
        error::{Error as ModelError, ErrorCode},
        policy::RULES_MAX,
        rule::Rule,
        rule_diff::RuleDiff,
    },
};

/// Locks an API's row until the commit, so that concurrent changes to its rules run one after the other.
const LOCK_API: &str = "UPDATE apis SET name = name WHERE id = $1";
const INSERT: &str = "INSERT INTO routes (id, api_id, position, method, pattern, scopes, public)
                      VALUES ($1, $2, $3, $4, $5, $6, $7)";
const OF_API: &str = concat!("SELECT ", rule_columns!(), " FROM routes WHERE api_id = $1 ORDER BY position, id");

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

/// The rules that an API is to have.
#[derive(Clone, Debug, Default)]
pub struct NewRules {
    /// The rules in order, at most [`RULES_MAX`].
    pub rules: Vec<Rule>,
    /// Scopes that are created with them, unless the API has them already.
    pub scopes: Vec<ApiScope>,
    /// Whether it may have none.
    pub open: bool,
}

impl Store {
    /// What replacing all rules of an API would change.
    ///
    /// # Errors
    /// [`Error::Refused`] if the API would have no rules any more and `open` does not confirm it.
    pub async fn preview_rules(&self, api_id: &str, mut to: NewRules) -> Result<RuleDiff, Error> {
        to.compare(&self.list::<Rule>(OF_API, binds![api_id]).await?)
    }

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
            tx.execute(LOCK_API, binds![&api_id]).await?;
            const BOUNDS: &str = "SELECT count(*), COALESCE(min(position), 1), COALESCE(max(position), 0)
                                      FROM routes WHERE api_id = $1";
            let (count, first, last): (i64, i64, i64) = tx.one(BOUNDS, binds![&api_id]).await?;
            if usize::try_from(count).is_ok_and(|count| count >= RULES_MAX) {
                return Err(ModelError::invalid_request(format!("an API can have at most {RULES_MAX} rules")).into());
            }
            let position = match place {
                RulePlace::Last => last + 1,
                RulePlace::First => first - 1,
                RulePlace::Before(id) => tx.make_room(&api_id, &id).await?,
            };
            tx.insert_rules(&api_id, position, std::slice::from_ref(&rule)).await?;
            tx.touch(EntityKind::Catalog, "");
            tx.audit(now, &origin, Event::new("route.create").object(&rule.id)).await
        })
    }

    /// Replaces all rules of an API in one transaction; returns what that changed. A rule that stays keeps its id. If
    /// nothing changes, nothing is written.
    ///
    /// # Errors
    /// As [`Self::preview_rules`]; [`Error::Refused`] if a scope belongs to another API.
    pub async fn replace_rules(
        &self,
        now: Timestamp,
        origin: Origin,
        api_id: String,
        mut to: NewRules,
    ) -> Result<RuleDiff, Error> {
        transaction!(self, now, |tx| {
            tx.execute(LOCK_API, binds![&api_id]).await?;
            let old: Vec<Rule> = tx.list(OF_API, binds![&api_id]).await?;
            let diff = to.compare(&old)?;
            let created = tx.insert_missing_scopes(&api_id, &to.scopes).await?;
            if diff.changes.is_empty() && created == 0 {
                return Ok(diff);
            }
            if !diff.changes.is_empty() {
                tx.execute("DELETE FROM routes WHERE api_id = $1", binds![&api_id]).await?;
                tx.insert_rules(&api_id, 1, &to.rules).await?;
            }
            tx.touch(EntityKind::Catalog, "");
            tx.audit(now, &origin, Event::new("route.replace").object(&api_id)).await?;
            Ok(diff)
        })
    }

    /// Removes a rule; returns false if there is none. An API without rules accepts each of its credentials on every
    /// path, so the last rule is removed only if `open` confirms it.
    pub async fn delete_rule(&self, now: Timestamp, origin: Origin, id: String, open: bool) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            let found = tx.find::<String>("SELECT api_id FROM routes WHERE id = $1", binds![&id]).await?;
            let Some(api_id) = found else { return Ok(false) };
            tx.execute(LOCK_API, binds![&api_id]).await?;
            const COUNT: &str = "SELECT count(*), count(CASE WHEN id = $2 THEN 1 END) FROM routes WHERE api_id = $1";
            let (all, own): (i64, i64) = tx.one(COUNT, binds![&api_id, &id]).await?;
            if own == 0 {
                return Ok(false);
            }
            if all == 1 && !open {
                return Err(opens("this is the API's last rule"));
            }
            tx.execute("DELETE FROM routes WHERE id = $1", binds![&id]).await?;
            tx.touch(EntityKind::Catalog, "");
            tx.audit(now, &origin, Event::new("route.delete").object(&id)).await?;
            Ok(true)
        })
    }
}

impl NewRules {
    fn compare(&mut self, old: &[Rule]) -> Result<RuleDiff, Error> {
        if self.rules.is_empty() && !old.is_empty() && !self.open {
            return Err(opens("this removes all of the API's rules"));
        }
        Ok(RuleDiff::of(old, &mut self.rules))
    }
}

/// The refusal to leave an API without rules by accident.
fn opens(what: &str) -> Error {
    let message = format!("{what}: without them every credential for the API passes everywhere; confirm it with open");
    ModelError::new(ErrorCode::Conflict, message).into()
}

impl Tx {
    /// The position directly before a rule, from which that one and all later ones are moved away.
    async fn make_room(&mut self, api_id: &str, before: &str) -> Result<i64, Error> {
        const AT: &str = "SELECT position FROM routes WHERE id = $1 AND api_id = $2";
        let at: Option<i64> = self.find(AT, binds![before, api_id]).await?;
        let at = at.ok_or_else(|| ModelError::invalid_request("`before` is not a rule of this API"))?;
        // Rules created concurrently by an earlier version may share a position; then their ids say the order.
        const MOVE: &str = "UPDATE routes SET position = position + 2
                            WHERE api_id = $1 AND (position > $2 OR (position = $2 AND id >= $3))";
        self.execute(MOVE, binds![api_id, at, before]).await?;
        Ok(at + 1)
    }

    /// Inserts rules at consecutive positions.
    async fn insert_rules(&mut self, api_id: &str, first: i64, rules: &[Rule]) -> Result<(), Error> {
        let scopes: Vec<String> = rules.iter().map(|rule| rule.scopes.to_string()).collect();
        let rows: Vec<Vec<Bind<'_>>> = (first..)
            .zip(rules.iter().zip(&scopes))
            .map(|(position, (rule, scopes))| {
                binds![&rule.id, api_id, position, &rule.method, &rule.pattern, scopes, rule.public].to_vec()
            })
            .collect();
        self.execute_each(INSERT, &rows).await.map(drop)
    }

    /// Creates those of the scopes that the API does not have; returns how many.
    async fn insert_missing_scopes(&mut self, api_id: &str, scopes: &[ApiScope]) -> Result<usize, Error> {
        let own: Vec<String> = self.list("SELECT name FROM scopes WHERE api_id = $1", binds![api_id]).await?;
        let missing: Vec<&ApiScope> = scopes.iter().filter(|scope| !own.contains(&scope.name)).collect();
        for scope in &missing {
            self.insert_scope(api_id, scope).await?;
        }
        Ok(missing.len())
    }
}
