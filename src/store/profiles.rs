//! Owns the `profiles` table: the deployment's own profiles. Does not validate them; see `model::profile`.

use std::{collections::HashMap, sync::Arc};

use super::{
    Error, Store,
    row::{binds, record},
    tx::{Tx, transaction},
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::{Error as ModelError, ErrorCode},
        profile::{self, Dialect},
    },
};

/// Maximum number of profiles of a deployment: each in use is compiled when the catalog is loaded.
const PROFILES_MAX: i64 = 100;

/// A profile as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProfile {
    /// Its name.
    pub name: String,
    /// Number of times it was saved.
    pub revision: i64,
    /// Its text.
    pub definition: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last saved.
    pub changed_at: Timestamp,
}

record! {
    profile_columns: StoredProfile {
        name: "name", revision: "revision", definition: "definition", created_at: "created_at",
        changed_at: "changed_at",
    }
}

const ONE: &str = concat!("SELECT ", profile_columns!(), " FROM profiles WHERE name = $1");

/// Locks a profile until the commit, so that it is not deleted while an API begins to use it.
const LOCK: &str = "UPDATE profiles SET name = name WHERE name = $1";

impl Store {
    /// The deployment's profiles, by name.
    pub async fn profiles(&self) -> Result<Vec<StoredProfile>, Error> {
        const ALL: &str = concat!("SELECT ", profile_columns!(), " FROM profiles ORDER BY name");
        self.list(ALL, &[]).await
    }

    /// The deployment's profiles with these names, compiled.
    pub(super) async fn compiled_profiles(&self, used: &[&str]) -> Result<HashMap<String, Arc<Dialect>>, Error> {
        let compiled = |StoredProfile { name, definition, .. }| {
            let dialect = profile::compile(&name, &definition).map_err(|error| {
                // Another version of grantd accepted it.
                tracing::error!(profile = name, why = %error.description, "a profile cannot be used");
                Error::Corrupt("a profile")
            })?;
            Ok((name, Arc::new(dialect)))
        };
        let stored = self.profiles().await?.into_iter();
        stored.filter(|stored| used.contains(&stored.name.as_str())).map(compiled).collect()
    }

    /// The profile with this name.
    pub async fn find_profile(&self, name: &str) -> Result<Option<StoredProfile>, Error> {
        self.find(ONE, binds![name]).await
    }

    /// Creates a profile.
    pub async fn insert_profile(
        &self,
        now: Timestamp,
        origin: Origin,
        name: String,
        definition: String,
    ) -> Result<StoredProfile, Error> {
        transaction!(self, now, |tx| {
            if tx.one::<i64>("SELECT COUNT(*) FROM profiles", &[]).await? >= PROFILES_MAX {
                let message = format!("there are at most {PROFILES_MAX} profiles; delete one that no API uses");
                return Err(ModelError::invalid_request(message).into());
            }
            let new = tx
                .execute(
                    "INSERT INTO profiles (name, revision, definition, created_at, changed_at)
                         VALUES ($1, 1, $2, $3, $3) ON CONFLICT (name) DO NOTHING",
                    binds![&name, &definition, now],
                )
                .await?;
            if new == 0 {
                return Err(ModelError::new(ErrorCode::Conflict, "a profile with this name exists already").into());
            }
            tx.touch(EntityKind::Catalog, "");
            let change = profile::changes("", &definition);
            tx.audit(now, &origin, Event::new("profile.create").object(&name).change(change)).await?;
            Ok(StoredProfile { name, revision: 1, definition, created_at: now, changed_at: now })
        })
    }

    /// Changes a profile; returns `None` if there is none.
    pub async fn update_profile(
        &self,
        now: Timestamp,
        origin: Origin,
        name: String,
        definition: String,
        expected: Option<i64>,
    ) -> Result<Option<StoredProfile>, Error> {
        transaction!(self, now, |tx| {
            tx.execute(LOCK, binds![&name]).await?;
            let Some(before) = tx.find::<StoredProfile>(ONE, binds![&name]).await? else { return Ok(None) };
            if expected.is_some_and(|expected| expected != before.revision) {
                let message = format!("it was changed meanwhile: it has revision {}", before.revision);
                return Err(ModelError::new(ErrorCode::Conflict, message).into());
            }
            if definition == before.definition {
                return Ok(Some(before));
            }
            tx.execute(
                "UPDATE profiles SET definition = $2, revision = revision + 1, changed_at = $3 WHERE name = $1",
                binds![&name, &definition, now],
            )
            .await?;
            tx.touch(EntityKind::Catalog, "");
            let change = profile::changes(&before.definition, &definition);
            tx.audit(now, &origin, Event::new("profile.update").object(&name).change(change)).await?;
            Ok(Some(StoredProfile { definition, revision: before.revision + 1, changed_at: now, ..before }))
        })
    }

    /// Deletes a profile; returns false if there is none.
    pub async fn delete_profile(&self, now: Timestamp, origin: Origin, name: String) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            tx.execute(LOCK, binds![&name]).await?;
            let Some(before) = tx.find::<StoredProfile>(ONE, binds![&name]).await? else { return Ok(false) };
            const USER: &str = "SELECT slug FROM apis WHERE profile = $1 ORDER BY slug LIMIT 1";
            if let Some(slug) = tx.find::<String>(USER, binds![&name]).await? {
                let message = format!("the API {slug} uses it: give that API another profile first");
                return Err(ModelError::new(ErrorCode::Conflict, message).into());
            }
            tx.execute("DELETE FROM profiles WHERE name = $1", binds![&name]).await?;
            tx.touch(EntityKind::Catalog, "");
            let change = profile::changes(&before.definition, "");
            tx.audit(now, &origin, Event::new("profile.delete").object(&name).change(change)).await?;
            Ok(true)
        })
    }

    /// Gives an API another profile; returns false if there is no such API.
    pub async fn set_api_profile(
        &self,
        now: Timestamp,
        origin: Origin,
        api_id: String,
        name: String,
    ) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            tx.check_profile(&name).await?;
            let before = tx.find::<String>("SELECT profile FROM apis WHERE id = $1", binds![&api_id]).await?;
            let Some(before) = before else { return Ok(false) };
            if before != name {
                tx.execute("UPDATE apis SET profile = $2 WHERE id = $1", binds![&api_id, &name]).await?;
                tx.touch(EntityKind::Catalog, "");
                let change = format!("profile: {before} → {name}");
                tx.audit(now, &origin, Event::new("api.update").object(&api_id).change(change)).await?;
            }
            Ok(true)
        })
    }
}

impl Tx {
    /// Refuses a profile that does not exist, and keeps one that does until the commit.
    pub(super) async fn check_profile(&mut self, name: &str) -> Result<(), Error> {
        if Dialect::shipped(name).is_some() || self.execute(LOCK, binds![name]).await? > 0 {
            return Ok(());
        }
        Err(ModelError::no_such("profile").into())
    }
}
