//! Owns `/settings/apps`: the apps with access to a user's account, and removing that access.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};

use super::{
    format,
    request::{Change, Form, Id, PageResult, done, redirect},
};
use crate::{
    app::App,
    http::{
        page::{render, shell},
        signed_in::SignedIn,
    },
    model::{error::Error, redirect_uri::display_host},
    ui::{Flash, Nav, ScopeLine, Shell, When},
};

/// `GET /settings/apps`: the apps with access to the user's account.
#[derive(Debug, Template)]
#[template(path = "connected.html")]
pub struct ConnectedPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub apps: Vec<ConnectedRow>,
}

/// One app that may act for the user.
#[derive(Debug, Clone)]
pub struct ConnectedRow {
    pub client_id: String,
    pub name: String,
    pub host: String,
    pub scopes: Vec<ScopeLine>,
    /// Allowed by the operator, without consent.
    pub by_operator: bool,
    pub first_allowed: When,
    pub last_used: Option<When>,
}

/// `GET /settings/apps`
pub async fn list(State(app): State<Arc<App>>, signed_in: SignedIn, uri: Uri) -> PageResult {
    let (catalog, now) = (app.catalog.current(), signed_in.viewer.now);
    let mut apps = Vec::new();
    for connected in app.store.connected_apps(now, &signed_in.user.id).await? {
        let client = app.clients.find(&connected.client_id).await?;
        let uri = client.as_ref().and_then(|client| client.redirect_uris.first());
        let registered = uri.map(|uri| display_host(uri.as_str())).unwrap_or_default();
        apps.push(ConnectedRow {
            // The hosts that the user was redirected to; if there are none, the registered host.
            host: if connected.hosts.is_empty() { registered } else { connected.hosts.join(", ") },
            by_operator: connected.by_operator,
            client_id: connected.client_id,
            name: connected.client_name,
            scopes: format::lines(&catalog, &connected.scopes),
            first_allowed: format::day(connected.allowed_at),
            last_used: connected.last_used_at.map(|at| format::ago(now, at)),
        });
    }
    let flash = done(&uri, &[("removed", "Access was removed.")])?;
    let page = ConnectedPage { shell: shell(&app, &signed_in.viewer, "Connected apps", Nav::Connected), flash, apps };
    Ok(render(&page))
}

/// `POST /settings/apps/{client_id}/revoke`
pub async fn remove(State(app): State<Arc<App>>, Id(client_id): Id, form: Form<SignedIn>) -> PageResult {
    let Change { store, act, .. } = form.change(&app);
    if !store.withdraw_consent(act.now, act.origin, form.user.id.clone(), client_id).await? {
        return Err(Error::not_found().into());
    }
    Ok(redirect(&app, "/settings/apps?done=removed"))
}
