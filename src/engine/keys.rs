//! Owns operations on API keys, for any actor: create, change, replace, revoke. Does not generate secrets; see
//! `new_key`. The limits of what a credential may delegate are in `attenuation`.

use super::{
    Along, Engine,
    attenuation::Attenuation,
    new_key::{self, NewKey},
};
use crate::{
    model::{
        audit::Act,
        clock::Timestamp,
        error::Error as ModelError,
        key::{ApiKey, KeyForm},
        network::Networks,
        policy::{KEY_OVERLAP_MAX, KEY_SECONDS_MAX},
        project::KeyTerms,
        secret::Secret,
        text,
    },
    store::{Error, KeyChanges, Replacement},
};

/// A created key.
#[derive(Debug)]
pub struct Created {
    /// Its text, to be shown once.
    pub secret: Secret,
    /// The key.
    pub key: ApiKey,
    /// The key that it replaces, and when that one expires.
    pub replaces: Option<(String, Timestamp)>,
}

/// Changes to a key; absent values stay unchanged.
#[derive(Debug, Default)]
pub struct KeyUpdate {
    /// Its name.
    pub name: Option<String>,
    /// The networks from which it may be used.
    pub networks: Option<Networks>,
    /// Seconds from now until it expires; the expiry can only become earlier.
    pub expires_in: Option<i64>,
}

/// Creates a key, limited by the credential that creates it. An ID that was used before is a conflict.
pub async fn create(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    mut new: NewKey,
    along: impl FnOnce(&Created) -> Along,
) -> Result<Created, Error> {
    let asked = new.expires_in_seconds;
    by.bound(act.now, engine.config, &mut new)?;
    if let Some(project) = &new.project {
        let KeyTerms { environments, expires_in, .. } = &project.key_terms;
        if new.environment.as_ref().is_some_and(|name| !environments.is_empty() && !environments.contains(name)) {
            let words = format!("environment must be one of: {}", environments.join(", "));
            return Err(ModelError::invalid_request(words).into());
        }
        if asked.is_none() {
            new.expires_in_seconds = [new.expires_in_seconds, *expires_in].into_iter().flatten().min();
        }
    }
    let (secret, key) = new_key::create(act.now, engine.config, new)?;
    let created = Created { secret, key, replaces: None };
    let store = engine.store.storing(along(&created)?);
    store.insert_key(act.now, act.origin, created.secret.digest(), created.key.clone()).await?;
    accept_form(engine, created.key.form).await;
    Ok(created)
}

/// Replaces a key with a new one like it. The old one expires after `overlap` seconds; with 0, at once. `id` is the ID
/// of the new key, for forms that must not create two. `None` if the old key has ended.
pub async fn replace(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    old: &ApiKey,
    (id, overlap): (Option<String>, i64),
    along: impl FnOnce(&Created) -> Along,
) -> Result<Option<Created>, Error> {
    if !(0..=KEY_OVERLAP_MAX).contains(&overlap) {
        return Err(ModelError::invalid_request(format!("overlap must be 0 to {KEY_OVERLAP_MAX} seconds")).into());
    }
    by.reaches_key(old)?;
    let project = match &old.project_id {
        Some(project) => engine.store.find_project(project).await?,
        None => None,
    };
    let mut new = NewKey { id, ..NewKey::like(old, project) };
    by.bound_successor(act.now, engine.config, &old.id, &mut new)?;
    let (secret, key) = new_key::create(act.now, engine.config, new)?;
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

/// Changes a key. `None` if it has ended.
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
            return wrong("expires_in must be at least one second; to stop a key now, revoke it");
        }
        Some(seconds) if seconds > KEY_SECONDS_MAX => return wrong("a key's lifetime must be at most ten years"),
        seconds => seconds.map(|seconds| act.now.plus_seconds(seconds)),
    };
    if expires_at.zip(key.expires_at).is_some_and(|(new, old)| new > old) {
        return wrong("a key's lifetime can only be shortened; create a new key");
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

/// Revokes a key at once; a key that is already revoked stays as it is. `None` if there is no such key.
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

/// The first key of a form that any text can have changes which texts this node treats as keys. The feed announces it
/// to every node, so a failure here only means that the key works a moment later.
async fn accept_form(engine: Engine<'_>, form: KeyForm) {
    if form != KeyForm::Prefixed && !engine.catalog.current().has_opaque_keys {
        drop(engine.catalog.reload().await);
    }
}
