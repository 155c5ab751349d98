//! Owns operations on profiles, those shipped with grantd and the deployment's own. Does not validate them; see
//! `model::profile`.

use std::sync::Arc;

use super::{Along, Engine};
use crate::{
    model::{
        audit::Act,
        clock::Timestamp,
        error::{Error, ErrorCode},
        profile::{self, Dialect, Shipped, shipped},
    },
    store::StoredProfile,
};

/// A profile with its revision and its use.
#[derive(Clone, Debug)]
pub struct KnownProfile {
    /// The text, compiled.
    pub dialect: Arc<Dialect>,
    /// The text.
    pub definition: String,
    /// Its revision, and when it was created and last saved; `None` if it is shipped with grantd.
    pub saved: Option<(i64, Timestamp, Timestamp)>,
    /// Slugs of the APIs that use it.
    pub apis: Vec<String>,
}

/// Every profile: the deployment's own, and those shipped with grantd. If an upgrade brings one of the same name, the
/// deployment's own is used.
pub async fn list(engine: Engine<'_>) -> Result<Vec<KnownProfile>, Error> {
    let stored = engine.store.profiles().await?;
    let is_own = |one: &&Shipped| stored.iter().any(|stored| stored.name == one.dialect.name);
    let mut all: Vec<KnownProfile> =
        shipped().iter().filter(|one| !is_own(one)).map(|one| of_grantd(engine, one)).collect();
    for stored in stored {
        all.push(of_store(engine, stored)?);
    }
    Ok(all)
}

/// The profile with this name.
pub async fn find(engine: Engine<'_>, name: &str) -> Result<KnownProfile, Error> {
    match engine.store.find_profile(name).await? {
        Some(stored) => of_store(engine, stored),
        None => {
            let one = shipped().iter().find(|one| one.dialect.name == name);
            one.map(|one| of_grantd(engine, one)).ok_or_else(|| missing(name))
        }
    }
}

/// As [`find`], for a name within a request.
pub async fn named(engine: Engine<'_>, name: &str) -> Result<KnownProfile, Error> {
    find(engine, name).await.map_err(|error| match error.code {
        ErrorCode::NotFound => Error::no_such("profile"),
        _ => error,
    })
}

/// Creates a profile with this text.
pub async fn create(
    engine: Engine<'_>,
    act: Act,
    name: &str,
    definition: String,
    along: impl FnOnce(&KnownProfile) -> Along,
) -> Result<KnownProfile, Error> {
    let name = profile::name(name)?;
    if Dialect::shipped(&name).is_some() {
        return Err(Error::new(ErrorCode::Conflict, "a profile with this name is shipped with grantd"));
    }
    let dialect = Arc::new(checked(engine, &name, &definition)?);
    let saved = Some((1, act.now, act.now));
    let created = KnownProfile { dialect, definition, saved, apis: Vec::new() };
    let store = engine.store.storing(along(&created)?);
    store.insert_profile(act.now, act.origin, name, created.definition.clone()).await?;
    Ok(created)
}

/// Changes a profile, for every API that uses it, within a second. With `expected`, only that revision is changed.
pub async fn update(
    engine: Engine<'_>,
    act: Act,
    name: &str,
    definition: String,
    expected: Option<i64>,
) -> Result<KnownProfile, Error> {
    checked(engine, name, &definition)?;
    let changed = engine.store.update_profile(act.now, act.origin, name.to_owned(), definition, expected).await?;
    engine.catalog.reload().await?;
    of_store(engine, changed.ok_or_else(|| missing(name))?)
}

/// A profile to be saved, compiled. Its environments must be configured.
fn checked(engine: Engine<'_>, name: &str, definition: &str) -> Result<Dialect, Error> {
    let dialect = profile::compile(name, definition)?;
    dialect
        .keys
        .terms
        .check(&engine.config.environments)
        .map_err(|error| Error { description: format!("keys: {}", error.description).into(), ..error })?;
    Ok(dialect)
}

/// Deletes a profile that no API uses.
pub async fn delete(engine: Engine<'_>, act: Act, name: &str) -> Result<(), Error> {
    match engine.store.delete_profile(act.now, act.origin, name.to_owned()).await? {
        true => Ok(()),
        false => Err(missing(name)),
    }
}

/// Gives an API another profile.
pub async fn assign(engine: Engine<'_>, act: Act, api_id: &str, name: &str) -> Result<(), Error> {
    if !engine.store.set_api_profile(act.now, act.origin, api_id.to_owned(), name.to_owned()).await? {
        return Err(Error { code: ErrorCode::NotFound, ..Error::no_such("API") });
    }
    engine.catalog.reload().await
}

/// The error about a profile that cannot be changed.
fn missing(name: &str) -> Error {
    if Dialect::shipped(name).is_some() {
        return Error::new(ErrorCode::Conflict, "shipped profiles cannot be changed; copy it and change the copy");
    }
    Error { code: ErrorCode::NotFound, ..Error::no_such("profile") }
}

fn of_grantd(engine: Engine<'_>, one: &Shipped) -> KnownProfile {
    let (dialect, definition) = (Arc::clone(&one.dialect), one.text.to_owned());
    KnownProfile { apis: users(engine, &dialect.name), dialect, definition, saved: None }
}

fn of_store(engine: Engine<'_>, stored: StoredProfile) -> Result<KnownProfile, Error> {
    let StoredProfile { name, revision, definition, created_at, changed_at } = stored;
    let dialect = Arc::new(profile::compile(&name, &definition)?);
    Ok(KnownProfile {
        dialect,
        definition,
        saved: Some((revision, created_at, changed_at)),
        apis: users(engine, &name),
    })
}

fn users(engine: Engine<'_>, name: &str) -> Vec<String> {
    let catalog = engine.catalog.current();
    catalog.apis.iter().filter(|api| api.profile.name == name).map(|api| api.slug.clone()).collect()
}
