//! Owns the `apis` and `scopes` tables, and reading the whole catalog. Does not cache the catalog; see `engine::catalog`.

use super::{Error, Store, row::binds};
use crate::{
    cache::EntityKind,
    model::{
        api::{Algorithm, Api, ApiScope, Catalog},
        audit::{Event, Origin},
        client::Client,
        clock::Timestamp,
        error::Error as ModelError,
        profile::Profile,
        rule::Rule,
    },
};

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
}
