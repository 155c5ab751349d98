//! Owns the `apis`, `scopes` and `routes` tables. Does not cache the catalog; see `engine::catalog`.

use super::{Error, Store, row::binds, tx::Tx};
use crate::{
    cache::EntityKind,
    model::{
        api::{Algorithm, Api, ApiScope, Catalog},
        audit::{Event, Origin},
        client::Client,
        clock::Timestamp,
        error::{Error as ModelError, ErrorCode},
        profile::Profile,
        rule::Rule,
    },
};

/// Most rules of one API: each request is checked against them in order.
const RULES_MAX: usize = 200;

/// The position of a new rule among those of its API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulePlace {
    /// After all others.
    Last,
    /// Before all others.
    First,
    /// Right before the one with this id.
    Before(String),
}

impl Store {
    /// Makes an API with its scopes and the client of its resource server, in one transaction.
    ///
    /// # Errors
    /// [`Error::Conflict`] when slug or identifier is taken, [`Error::Refused`] when a scope belongs to another API.
    pub async fn insert_api(&self, now: Timestamp, origin: Origin, api: Api, client: Client) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                tx.insert_client(now, &origin, &client).await?;
                tx.execute(
                    "INSERT INTO apis (id, slug, identifier, name, profile, algorithm, access_token_seconds, client_id, created_at, counts_introspection)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                    binds![&api.id, &api.slug, &api.identifier, &api.name, api.profile.as_str(), api.algorithm.as_str(), api.access_token_seconds, &api.client_id, now, api.counts_introspection],
                )
                .await?;
                for scope in &api.scopes {
                    let new = tx
                        .execute(
                            "INSERT INTO scopes (name, api_id, description) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
                            binds![&scope.name, &api.id, &scope.description],
                        )
                        .await?;
                    if new == 0 {
                        return Err(ModelError::invalid_scope(format!("scope {} already belongs to another API", scope.name)).into());
                    }
                }
                tx.touch(EntityKind::Catalog, "");
                tx.audit(now, &origin, Event::new("api.create").client(&api.client_id).object(&api.id)).await
            })
        })
        .await
    }

    /// Every API with its scopes.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn catalog(&self) -> Result<Catalog, Error> {
        let apis = self.rows("SELECT id, slug, identifier, name, profile, algorithm, access_token_seconds, client_id, counts_introspection FROM apis ORDER BY name, id", &[]).await?;
        let mut apis: Vec<Api> = apis
            .into_iter()
            .map(|mut row| {
                Ok(Api {
                    id: row.text(0)?,
                    slug: row.text(1)?,
                    identifier: row.text(2)?,
                    name: row.text(3)?,
                    profile: Profile::parse(&row.text(4)?).ok_or(Error::Corrupt("a profile"))?,
                    algorithm: Algorithm::parse(&row.text(5)?).ok_or(Error::Corrupt("an algorithm"))?,
                    access_token_seconds: row.int(6)?,
                    client_id: row.text(7)?,
                    counts_introspection: row.flag(8)?,
                    scopes: Vec::new(),
                    rules: Vec::new(),
                })
            })
            .collect::<Result<_, Error>>()?;
        for mut row in self.rows("SELECT api_id, name, description FROM scopes ORDER BY name", &[]).await? {
            let api_id = row.text(0)?;
            if let Some(api) = apis.iter_mut().find(|api| api.id == api_id) {
                api.scopes.push(ApiScope { name: row.text(1)?, description: row.text(2)? });
            }
        }
        let rules = self
            .rows("SELECT id, method, pattern, scopes, public, api_id FROM routes ORDER BY position, id", &[])
            .await?;
        for mut row in rules {
            let rule = Rule {
                id: row.text(0)?,
                method: row.text(1)?,
                pattern: row.text(2)?,
                scopes: row.scopes(3)?,
                public: row.flag(4)?,
            };
            let api_id = row.text(5)?;
            if let Some(api) = apis.iter_mut().find(|api| api.id == api_id) {
                api.rules.push(rule);
            }
        }
        Ok(Catalog {
            apis,
            management_api: None,
            plans: self.plans().await?,
            has_opaque_keys: self.has_opaque_keys().await?,
        })
    }

    /// Adds a rule at its place.
    ///
    /// # Errors
    /// [`Error::Refused`] when the API has as many as it may, or none to stand before.
    pub async fn insert_rule(
        &self,
        now: Timestamp,
        origin: Origin,
        api_id: String,
        rule: Rule,
        place: RulePlace,
    ) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let rules = tx.lock_rules(&api_id).await?;
                if rules.len() >= RULES_MAX {
                    return Err(ModelError::invalid_request(format!("an API has at most {RULES_MAX} rules")).into());
                }
                let after_last = rules.last().map_or(1, |(_, position)| position + 1);
                let position = match place {
                    RulePlace::Last => after_last,
                    RulePlace::First => rules.first().map_or(after_last, |(_, position)| position - 1),
                    RulePlace::Before(id) => {
                        let found = rules.iter().position(|(rule, _)| *rule == id);
                        let at = found.ok_or_else(|| ModelError::invalid_request("`before` is not a rule of this API"))?;
                        // Made at once, two may share a position: from here on each gets one of its own.
                        for (next, (rule, _)) in (after_last + 1..).zip(&rules[at..]) {
                            tx.execute("UPDATE routes SET position = $2 WHERE id = $1", binds![rule, next]).await?;
                        }
                        after_last
                    }
                };
                tx.execute(
                    "INSERT INTO routes (id, api_id, position, method, pattern, scopes, public) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    binds![&rule.id, &api_id, position, &rule.method, &rule.pattern, &rule.scopes.to_string(), rule.public],
                )
                .await?;
                tx.touch(EntityKind::Catalog, "");
                tx.audit(now, &origin, Event::new("route.create").object(&rule.id)).await
            })
        })
        .await
    }

    /// Removes a rule; false if there is none. Without its last one an API lets every credential of its own pass
    /// everywhere: that one is kept, unless `open` says that this is meant.
    ///
    /// # Errors
    /// [`Error::Refused`] for the last one.
    pub async fn delete_rule(&self, now: Timestamp, origin: Origin, id: String, open: bool) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let found = tx.row("SELECT api_id FROM routes WHERE id = $1", binds![&id]).await?;
                let Some(api_id) = found.map(|mut row| row.text(0)).transpose()? else { return Ok(false) };
                let rules = tx.lock_rules(&api_id).await?;
                if !rules.iter().any(|(rule, _)| *rule == id) {
                    return Ok(false);
                }
                if rules.len() == 1 && !open {
                    let words = "this is the API's last rule: without it every credential for the API passes everywhere; pass open=yes to confirm";
                    return Err(ModelError::new(ErrorCode::Conflict, words).into());
                }
                tx.execute("DELETE FROM routes WHERE id = $1", binds![&id]).await?;
                tx.touch(EntityKind::Catalog, "");
                tx.audit(now, &origin, Event::new("route.delete").object(&id)).await?;
                Ok(true)
            })
        })
        .await
    }
}

impl Tx {
    /// An API's rules with their positions, in the order they are asked. The API's row stays locked: two that change its
    /// rules at once do it one after the other.
    async fn lock_rules(&mut self, api_id: &str) -> Result<Vec<(String, i64)>, Error> {
        self.execute("UPDATE apis SET name = name WHERE id = $1", binds![api_id]).await?;
        let rows = self
            .rows("SELECT id, position FROM routes WHERE api_id = $1 ORDER BY position, id", binds![api_id])
            .await?;
        rows.into_iter().map(|mut row| Ok((row.text(0)?, row.int(1)?))).collect()
    }
}
