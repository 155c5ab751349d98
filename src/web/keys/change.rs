//! Owns the forms on the page of one key: its networks, regenerate, rotate, revoke.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
};

use super::{
    created,
    detail::{self, Feedback, OVERLAPS, owned},
};
use crate::{
    app::App,
    engine::{
        alone,
        attenuation::Attenuation,
        keys::{self, Created, KeyUpdate},
    },
    http::{extract::RequestInfo, signed_in::SignedIn},
    model::{clock::Timestamp, error::Error, key::ApiKey, network::Networks, params::Params, project::Project, span},
    store,
    ui::{Flash, Tone, sentence},
    web::{
        format, reauth,
        request::{Id, PageResult, redirect, signed_form},
    },
};

/// `POST /settings/keys/{id}/networks`
pub async fn networks(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let (key, project) = owned(&app, &signed_in.user, &id).await?;
    let params = body.params()?;
    params.refuse_duplicates(&[])?;
    // A missing field is not an empty one: omitting it must not open a key to every network.
    let typed = params.pairs().find(|(name, _)| *name == "networks").map(|(_, text)| text);
    let typed = typed.ok_or_else(|| Error::invalid_request("networks is missing"))?;
    let networks = match Networks::parse(typed) {
        Ok(networks) => networks,
        Err(error) => {
            let feedback = Feedback {
                typed_networks: Some(typed.to_owned()),
                networks_error: Some(sentence(&error.description)),
                status: StatusCode::BAD_REQUEST,
                ..Feedback::default()
            };
            return detail::page(&app, &info, &signed_in, key, project, feedback).await;
        }
    };
    // With a session alone, a user can narrow a key's networks but not widen them.
    if !networks.is_within(&key.networks)
        && let Err(why) =
            reauth::require_recent_login(&app, &info, &signed_in.viewer, &signed_in.user, params.get("password"))
                .await?
    {
        let feedback = Feedback {
            typed_networks: Some(typed.to_owned()),
            networks_password_error: Some(why),
            status: StatusCode::BAD_REQUEST,
            ..Feedback::default()
        };
        return detail::page(&app, &info, &signed_in, key, project, feedback).await;
    }
    let store = signed_in.store(&app);
    let (act, by) = (info.act(&signed_in.user.id), Attenuation::signed_in(&signed_in.user));
    let to = KeyUpdate { networks: Some(networks), ..KeyUpdate::default() };
    if keys::update(app.engine_on(&store), act, &by, &key, to).await?.is_none() {
        let text = "This key no longer works, so it cannot be changed.".to_owned();
        let flash = Some(Flash { tone: Tone::Bad, text });
        let feedback = Feedback { flash, status: StatusCode::CONFLICT, ..Feedback::default() };
        return detail::page(&app, &info, &signed_in, key, project, feedback).await;
    }
    Ok(redirect(&app, &format!("/settings/keys/{id}?done=networks")))
}

/// `POST /settings/keys/{id}/regenerate`: creates a new key, and the old one stops working immediately.
pub async fn regenerate(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let old = owned(&app, &signed_in.user, &id).await?;
    replace(&app, &info, &signed_in, old, &body.params()?, None).await
}

/// `POST /settings/keys/{id}/rotate`: creates a new key, and the old one works for a while longer.
pub async fn rotate(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let old = owned(&app, &signed_in.user, &id).await?;
    let params = body.params()?;
    let chosen = OVERLAPS.iter().find(|(value, _)| Some(*value) == params.get("overlap"));
    let (value, _) = chosen.ok_or_else(|| Error::invalid_request("overlap must be 1h, 24h, 7d or 30d"))?;
    replace(&app, &info, &signed_in, old, &params, Some(span::seconds(value)?)).await
}

/// `POST /settings/keys/{id}/revoke`
pub async fn revoke(State(app): State<Arc<App>>, info: RequestInfo, Id(id): Id, request: Request) -> PageResult {
    let (signed_in, _) = signed_form(&app, &info, request).await?;
    let (key, _) = owned(&app, &signed_in.user, &id).await?;
    let store = signed_in.store(&app);
    let (act, by) = (info.act(&signed_in.user.id), Attenuation::signed_in(&signed_in.user));
    keys::revoke(app.engine_on(&store), act, &by, key, alone).await?.ok_or_else(Error::not_found)?;
    Ok(redirect(&app, "/settings/keys?done=revoked"))
}

/// Replaces a key with a new one with the same properties: nothing in the form can widen it.
async fn replace(
    app: &Arc<App>,
    info: &RequestInfo,
    signed_in: &SignedIn,
    (old, project): (ApiKey, Option<Project>),
    params: &Params<'_>,
    overlap_seconds: Option<i64>,
) -> PageResult {
    params.refuse_duplicates(&[])?;
    let form_id = signed_in.viewer.read_form_id(app, params.get("form").unwrap_or_default())?;
    let new_id = format!("key_{form_id}");
    let password = params.get("password");
    if let Err(why) = reauth::require_recent_login(app, info, &signed_in.viewer, &signed_in.user, password).await? {
        let feedback = match overlap_seconds {
            None => Feedback { regenerate_error: Some(why), ..Feedback::default() },
            Some(_) => Feedback { rotate_error: Some(why), ..Feedback::default() },
        };
        let feedback = Feedback { status: StatusCode::BAD_REQUEST, ..feedback };
        return detail::page(app, info, signed_in, old, project, feedback).await;
    }
    let store = signed_in.store(app);
    let (act, by) = (info.act(&signed_in.user.id), Attenuation::signed_in(&signed_in.user));
    let how = (Some(new_id.clone()), overlap_seconds.unwrap_or_default());
    let why = match keys::replace(app.engine_on(&store), act, &by, &old, how, alone).await {
        Ok(Some(Created { secret, key, .. })) => {
            let before = what_becomes(&old, overlap_seconds.map(|seconds| info.now.plus_seconds(seconds)));
            return Ok(created::created(app, signed_in, secret.expose(), &key, project.as_ref(), Some(before)));
        }
        Ok(None) | Err(store::Error::Conflict) => {
            "This key no longer works, so it cannot be replaced. Generate a new one.".to_owned()
        }
        Err(store::Error::Refused(error)) => sentence(&error.description),
        Err(error) => return Err(error.into()),
    };
    not_replaced(app, info, signed_in, (old, project), &new_id, why).await
}

/// Why `old` was not replaced: usually because the form was sent before.
async fn not_replaced(
    app: &App,
    info: &RequestInfo,
    signed_in: &SignedIn,
    (old, project): (ApiKey, Option<Project>),
    new_id: &str,
    why: String,
) -> PageResult {
    let made = app.store.find_key(new_id).await?.filter(|key| key.user_id == signed_in.user.id);
    let (key, flash) = match made {
        Some(key) => {
            let text =
                "This form was already sent, and this is the key it created. A key is shown only once.".to_owned();
            (key, Flash { tone: Tone::Warn, text })
        }
        None => (old, Flash { tone: Tone::Bad, text: why }),
    };
    let feedback = Feedback { flash: Some(flash), status: StatusCode::CONFLICT, ..Feedback::default() };
    detail::page(app, info, signed_in, key, project, feedback).await
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
