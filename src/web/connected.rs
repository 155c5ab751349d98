//! Owns `/settings/apps`: the apps with access to a user's account, and removing that access.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri},
};

use super::{
    format,
    request::{Id, PageResult, query, redirect, signed_form},
};
use crate::{
    app::App,
    http::{
        extract::RequestInfo,
        page::{render, shell},
        signed_in::SignedIn,
    },
    model::{error::Error, redirect_uri::display_host},
    ui::{Flash, Nav, ScopeLine, Shell, Tone, When, monogram},
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

impl ConnectedRow {
    #[must_use]
    pub fn monogram(&self) -> String {
        monogram(&self.name)
    }
}

/// `GET /settings/apps`
pub async fn list(State(app): State<Arc<App>>, info: RequestInfo, uri: Uri, headers: HeaderMap) -> PageResult {
    let signed_in = SignedIn::of(&app, info.now, &headers).await?;
    let catalog = app.catalog.current();
    let mut apps = Vec::new();
    for connected in app.store.connected_apps(info.now, &signed_in.user.id).await? {
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
            last_used: connected.last_used_at.map(|at| format::ago(info.now, at)),
        });
    }
    let flash = (query(&uri)?.get("done") == Some("removed"))
        .then(|| Flash { tone: Tone::Good, text: "Access was removed.".to_owned() });
    let page = ConnectedPage { shell: shell(&app, &signed_in.viewer, "Connected apps", Nav::Connected), flash, apps };
    Ok(render(&page))
}

/// `POST /settings/apps/{client_id}/revoke`
pub async fn remove(State(app): State<Arc<App>>, info: RequestInfo, Id(client_id): Id, request: Request) -> PageResult {
    let (signed_in, _) = signed_form(&app, &info, request).await?;
    let user_id = signed_in.user.id.clone();
    if !signed_in.store(&app).withdraw_consent(info.now, info.origin(&user_id), user_id, client_id).await? {
        return Err(Error::not_found().into());
    }
    Ok(redirect(&app, "/settings/apps?done=removed"))
}
