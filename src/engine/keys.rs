//! Owns what is done with API keys, whoever asks: create, change, replace, revoke. Does not make secrets; see `apikey`. What a
//! credential may delegate is `attenuation`.

use super::{
    Along, Engine,
    apikey::{self, LIFETIME_MAX_SECONDS, NewKey},
    attenuation::Attenuation,
};
use crate::{
    model::{
        audit::Act,
        clock::Timestamp,
        error::Error as ModelError,
        key::{ApiKey, KeyForm},
        network::Networks,
        secret::Secret,
        text,
    },
    store::{Error, KeyChanges, Replacement},
};

/// Longest overlap of two keys, in seconds: 30 days.
pub const KEY_OVERLAP_MAX: i64 = 2_592_000;

/// A key that was created.
#[derive(Debug)]
pub struct Created {
    /// Its text, to be shown once.
    pub secret: Secret,
    /// The key.
    pub key: ApiKey,
    /// The key it takes the place of, and when that one ends.
    pub replaces: Option<(String, Timestamp)>,
}

/// What of a key is to be changed; what is not here stays.
#[derive(Debug, Default)]
pub struct KeyUpdate {
    /// What it is for.
    pub name: Option<String>,
    /// From where it may be used.
    pub networks: Option<Networks>,
    /// Seconds from now until it ends: sooner than so far.
    pub expires_in: Option<i64>,
}

/// Creates a key, bounded by the credential that creates it.
///
/// # Errors
/// [`Error::Conflict`] for an id that was used before, [`Error::Refused`] with `insufficient_scope` for a key that is wider than
/// the credential, or with what would be right.
pub async fn create(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    mut new: NewKey,
    along: impl FnOnce(&Created) -> Along,
) -> Result<Created, Error> {
    by.bound(act.now, engine.config, &mut new)?;
    let (secret, key) = apikey::make(act.now, engine.config, new)?;
    let created = Created { secret, key, replaces: None };
    let store = engine.store.storing(along(&created)?);
    store.insert_key(act.now, act.origin, created.secret.digest(), created.key.clone()).await?;
    accept_form(engine, created.key.form).await;
    Ok(created)
}

/// Puts a new key like the old one in its place. The old one ends after `overlap` seconds, with none at once. `id` is that of the
/// new key, where a form must not create two. Nothing if the old key has ended.
pub async fn replace(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    old: &ApiKey,
    (id, overlap): (Option<String>, i64),
    along: impl FnOnce(&Created) -> Along,
) -> Result<Option<Created>, Error> {
    if !(0..=KEY_OVERLAP_MAX).contains(&overlap) {
        return Err(ModelError::invalid_request(format!("overlap is 0 to {KEY_OVERLAP_MAX} seconds")).into());
    }
    by.reaches_key(old)?;
    let project = match &old.project_id {
        Some(project) => engine.store.find_project(project).await?,
        None => None,
    };
    let mut new = NewKey { id, ..NewKey::like(old, project) };
    by.bound_successor(act.now, engine.config, &old.id, &mut new)?;
    let (secret, key) = apikey::make(act.now, engine.config, new)?;
    let old_ends_at = (overlap > 0).then(|| act.now.plus_seconds(overlap));
    let replacement = Replacement {
        old_id: old.id.clone(),
        old_ends_at,
        user_id: Some(old.user_id.clone()),
        digest: secret.digest(),
        new: key.clone(),
    };
    let created = Created { secret, key, replaces: Some((old.id.clone(), old_ends_at.unwrap_or(act.now))) };
    let store = engine.store.storing(along(&created)?);
    if !store.replace_key(act.now, act.origin, replacement).await? {
        return Ok(None);
    }
    accept_form(engine, created.key.form).await;
    Ok(Some(created))
}

/// Changes a key. Nothing if it has ended.
pub async fn update(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    key: &ApiKey,
    to: KeyUpdate,
) -> Result<Option<ApiKey>, Error> {
    by.reaches_key(key)?;
    let wrong = |words: &'static str| Err(ModelError::invalid_request(words).into());
    let expires_at = match to.expires_in {
        Some(seconds) if seconds < 1 => {
            return wrong("expires_in is at least one second; to end a key now, revoke it");
        }
        Some(seconds) if seconds > LIFETIME_MAX_SECONDS => return wrong("a key lives ten years at most"),
        seconds => seconds.map(|seconds| act.now.plus_seconds(seconds)),
    };
    if expires_at.zip(key.expires_at).is_some_and(|(new, old)| new > old) {
        return wrong("a key's end can only come sooner: make a new key");
    }
    if let Some(networks) = &to.networks {
        by.within(networks)?;
    }
    let name = to.name.map(|name| text::name("the key's name", &name)).transpose()?;
    let changes = KeyChanges { name, networks: to.networks, expires_at };
    match engine.store.update_key(act.now, act.origin, key.id.clone(), changes).await? {
        true => engine.store.find_key(&key.id).await,
        false => Ok(None),
    }
}

/// Revokes a key at once; one that was revoked before stays as it is. Nothing if there is none.
pub async fn revoke(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    key: ApiKey,
    along: impl FnOnce(&ApiKey) -> Along,
) -> Result<Option<ApiKey>, Error> {
    by.reaches_key(&key)?;
    let revoked = ApiKey { revoked_at: key.revoked_at.or(Some(act.now)), ..key };
    let store = engine.store.storing(along(&revoked)?);
    let (id, owner) = (revoked.id.clone(), Some(revoked.user_id.clone()));
    Ok(store.revoke_key(act.now, act.origin, id, owner).await?.then_some(revoked))
}

/// The first key of a form that any text may have changes what this node takes for a key at all. Others hear of it by the feed,
/// and so would this one: a failure here only means that the key works a moment later.
async fn accept_form(engine: Engine<'_>, form: KeyForm) {
    if form != KeyForm::Prefixed && !engine.catalog.current().has_opaque_keys {
        drop(engine.catalog.reload().await);
    }
}
