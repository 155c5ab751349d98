//! Owns the `apis` and `scopes` tables, and reading the whole catalog. Does not cache it; see `engine::catalog`.

use std::{collections::HashMap, sync::Arc};

use super::{
    Error, Store,
    row::{binds, column, record},
    tx::{Tx, transaction},
};
use crate::{
    cache::EntityKind,
    model::{
        api::{Algorithm, Api, ApiScope, Catalog},
        audit::{Event, Origin},
        client::Client,
        clock::Timestamp,
        error::Error as ModelError,
        profile::Dialect,
        rule::Rule,
        rules::Rules,
    },
};

record! {
    api_columns: Api {
        id: "id", slug: "slug", identifier: "identifier", name: "name", algorithm: "algorithm",
        access_token_seconds: "access_token_seconds", client_id: "client_id",
        counts_introspection: "counts_introspection";
        profile: Dialect::shipped_default(), scopes: Vec::new(), rules: Arc::default()
    }
}
record! {
    scope_columns: ApiScope { name: "name", description: "description" }
}
record! {
    rule_columns: Rule { id: "id", method: "method", pattern: "pattern", scopes: "scopes", public: "public" }
}
pub(super) use rule_columns;
column!(Algorithm, Algorithm::parse, "an algorithm");

const APIS: &str = concat!("SELECT profile, ", api_columns!(), " FROM apis ORDER BY name, id");
const SCOPES: &str = concat!("SELECT api_id, ", scope_columns!(), " FROM scopes ORDER BY name");
const RULES: &str = concat!("SELECT api_id, ", rule_columns!(), " FROM routes ORDER BY position, id");

impl Store {
    /// Creates an API with its scopes and the client of its resource server, in one transaction. A slug or identifier
    /// that is taken is a conflict; a scope that belongs to another API is refused.
    pub async fn insert_api(&self, now: Timestamp, origin: Origin, api: Api, client: Client) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            tx.check_profile(&api.profile.name).await?;
            tx.insert_client(now, &origin, &client).await?;
            tx.execute(
                "INSERT INTO apis (id, slug, identifier, name, profile, algorithm, access_token_seconds,
                     client_id, created_at, counts_introspection)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                binds![
                    &api.id,
                    &api.slug,
                    &api.identifier,
                    &api.name,
                    &api.profile.name,
                    api.algorithm.as_str(),
                    api.access_token_seconds,
                    &api.client_id,
                    now,
                    api.counts_introspection
                ],
            )
            .await?;
            for scope in &api.scopes {
                tx.insert_scope(&api.id, scope).await?;
            }
            tx.touch(EntityKind::Catalog, "");
            tx.audit(now, &origin, Event::new("api.create").client(&api.client_id).object(&api.id)).await
        })
    }

    /// Every API with its scopes.
    pub async fn catalog(&self) -> Result<Catalog, Error> {
        let rows = self.list::<(String, Api)>(APIS, &[]).await?;
        let used: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
        let profiles = self.compiled_profiles(&used).await?;
        let speaks = |(name, api): (String, Api)| match profiles.get(&name).cloned().or_else(|| Dialect::shipped(&name))
        {
            Some(profile) => Ok(Api { profile, ..api }),
            None => Err(Error::Corrupt("the profile of an API")),
        };
        let mut apis: Vec<Api> = rows.into_iter().map(speaks).collect::<Result<_, _>>()?;
        for (api_id, scope) in self.list::<(String, ApiScope)>(SCOPES, &[]).await? {
            if let Some(api) = apis.iter_mut().find(|api| api.id == api_id) {
                api.scopes.push(scope);
            }
        }
        let mut rules: HashMap<String, Vec<Rule>> = HashMap::new();
        for (api_id, rule) in self.list::<(String, Rule)>(RULES, &[]).await? {
            rules.entry(api_id).or_default().push(rule);
        }
        for api in &mut apis {
            api.rules = rules.remove(&api.id).map(Rules::new).map(Arc::new).unwrap_or_default();
        }
        Ok(Catalog {
            apis,
            management_api: None,
            plans: self.plans().await?,
            has_opaque_keys: self.has_opaque_keys().await?,
        })
    }
}

impl Tx {
    /// Adds a scope to an API.
    ///
    /// # Errors
    /// [`Error::Refused`] when it belongs to an API already.
    pub(super) async fn insert_scope(&mut self, api_id: &str, scope: &ApiScope) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO scopes (name, api_id, description) VALUES ($1, $2, $3)
                              ON CONFLICT (name) DO NOTHING";
        if self.execute(INSERT, binds![&scope.name, api_id, &scope.description]).await? == 0 {
            let message = format!("scope {} already belongs to another API", scope.name);
            return Err(ModelError::invalid_scope(message).into());
        }
        Ok(())
    }
}
