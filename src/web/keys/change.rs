//! Owns the forms on the page of one key: its networks, regenerate, rotate, revoke.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use super::{
    created,
    detail::{self, Feedback, OVERLAPS, Part, owned},
};
use crate::{
    app::App,
    engine::{
        alone,
        keys::{self, Created, KeyUpdate},
    },
    http::signed_in::SignedIn,
    model::{clock::Timestamp, error::Error, key::ApiKey, network::Networks, project::Project, span},
    store,
    ui::{Flash, Tone, sentence},
    web::{
        format,
        reauth::{Confirmed, Confirming},
        request::{Change, Form, Id, PageResult, redirect},
    },
};

/// `POST /settings/keys/{id}/networks`
pub async fn networks(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    let (key, project) = owned(&app, &form.user, &id).await?;
    // A missing field is not an empty one: omitting it must not open a key to every network.
    let typed = form.params.pairs().find(|(name, _)| *name == "networks").map(|(_, text)| text.to_owned());
    let typed = typed.ok_or_else(|| Error::invalid_request("networks is missing"))?;
    let networks = match Networks::parse(&typed) {
        Ok(networks) => networks,
        Err(error) => {
            let feedback = Feedback::wrong((typed, Some(sentence(&error.description))));
            return detail::page(&app, &form, key, project, feedback).await;
        }
    };
    // With a session alone, a user can narrow a key's networks but not widen them.
    let Change { store, act, by } = match form.confirm_unless(networks.is_within(&key.networks), &app).await? {
        Confirmed::Yes(change) => change,
        Confirmed::No(why) => {
            let feedback = Feedback { typed: Some((typed, None)), ..Feedback::password(Part::Networks, why) };
            return detail::page(&app, &form, key, project, feedback).await;
        }
    };
    let to = KeyUpdate { networks: Some(networks), ..KeyUpdate::default() };
    if keys::update(app.engine_on(&store), act, &by, &key, to).await?.is_none() {
        let flash = Flash::of(Tone::Bad, "This key no longer works, so it cannot be changed.");
        return detail::page(&app, &form, key, project, Feedback::refused(flash, StatusCode::CONFLICT)).await;
    }
    Ok(redirect(&app, &format!("/settings/keys/{id}?done=networks")))
}

/// `POST /settings/keys/{id}/regenerate`: creates a new key, and the old one stops working immediately.
pub async fn regenerate(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    let old = owned(&app, &form.user, &id).await?;
    replace(&app, &form, old, None).await
}

/// `POST /settings/keys/{id}/rotate`: creates a new key, and the old one works for a while longer.
pub async fn rotate(State(app): State<Arc<App>>, Id(id): Id, form: Form<Confirming>) -> PageResult {
    let old = owned(&app, &form.user, &id).await?;
    let chosen = OVERLAPS.iter().find(|(value, _)| *value == form.get("overlap"));
    let (value, _) = chosen.ok_or_else(|| Error::invalid_request("overlap must be 1h, 24h, 7d or 30d"))?;
    replace(&app, &form, old, Some(span::seconds(value)?)).await
}

/// `POST /settings/keys/{id}/revoke`
pub async fn revoke(State(app): State<Arc<App>>, Id(id): Id, form: Form<SignedIn>) -> PageResult {
    let (key, _) = owned(&app, &form.user, &id).await?;
    let Change { store, act, by } = form.change(&app);
    keys::revoke(app.engine_on(&store), act, &by, key, alone).await?.ok_or_else(Error::not_found)?;
    Ok(redirect(&app, "/settings/keys?done=revoked"))
}

/// Replaces a key with a new one with the same properties: nothing in the form can widen it.
async fn replace(
    app: &Arc<App>,
    form: &Form<Confirming>,
    (old, project): (ApiKey, Option<Project>),
    overlap_seconds: Option<i64>,
) -> PageResult {
    let new_id = format!("key_{}", form.viewer.read_form_id(app, form.get("form"))?);
    let Change { store, act, by } = match form.confirm(app).await? {
        Confirmed::Yes(change) => change,
        Confirmed::No(why) => {
            let part = if overlap_seconds.is_some() { Part::Rotate } else { Part::Regenerate };
            return detail::page(app, form, old, project, Feedback::password(part, why)).await;
        }
    };
    let how = (Some(new_id.clone()), overlap_seconds.unwrap_or_default());
    let why = match keys::replace(app.engine_on(&store), act, &by, &old, how, alone).await {
        Ok(Some(Created { secret, key, .. })) => {
            let before = what_becomes(&old, overlap_seconds.map(|seconds| form.info.now.plus_seconds(seconds)));
            return Ok(created::created(app, form, secret.expose(), &key, project.as_ref(), Some(before)));
        }
        Ok(None) | Err(store::Error::Conflict) => {
            "This key no longer works, so it cannot be replaced. Generate a new one.".to_owned()
        }
        Err(store::Error::Refused(error)) => sentence(&error.description),
        Err(error) => return Err(error.into()),
    };
    // Usually because the form was sent before.
    let made = app.store.find_key(&new_id).await?.filter(|key| key.user_id == form.user.id);
    let (key, flash) = match made {
        Some(key) => {
            let text = "This form was already sent, and this is the key it created. A key is shown only once.";
            (key, Flash::of(Tone::Warn, text))
        }
        None => (old, Flash::of(Tone::Bad, why)),
    };
    detail::page(app, form, key, project, Feedback::refused(flash, StatusCode::CONFLICT)).await
}

fn what_becomes(old: &ApiKey, old_ends_at: Option<Timestamp>) -> String {
    let hint = format!("{}…{}", old.prefix, old.hint);
    match old_ends_at {
        None => format!("The old key {hint} no longer works."),
        Some(end) => {
            let end = old.expires_at.map_or(end, |expires| expires.min(end));
            format!("The old key {hint} keeps working until {}.", format::moment(end).text)
        }
    }
}
