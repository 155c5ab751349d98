//! Owns `/apps`: the OAuth clients that a user registered.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};

use super::form::kind_word;
use crate::{
    app::App,
    http::{
        page::{render, shell},
        signed_in::SignedIn,
    },
    model::client::Client,
    ui::{Flash, Nav, Shell, When},
    web::{
        format,
        request::{PageResult, done},
    },
};

/// Most apps shown; the store allows fewer per user.
const APPS_MAX: i64 = 200;

/// `GET /apps`: the clients that the user registered.
#[derive(Debug, Template)]
#[template(path = "apps/list.html")]
pub struct AppsPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub apps: Vec<AppRow>,
}

/// One registered client.
#[derive(Debug, Clone)]
pub struct AppRow {
    pub client_id: String,
    pub name: String,
    /// `Confidential` or `Public`.
    pub kind: String,
    pub created: When,
}

/// `GET /apps`
pub async fn list(State(app): State<Arc<App>>, signed_in: SignedIn, uri: Uri) -> PageResult {
    let clients = app.store.list_clients(&signed_in.user.id, APPS_MAX).await?;
    let row = |client: Client| AppRow {
        kind: kind_word(client.kind).to_owned(),
        created: format::day(client.created_at),
        client_id: client.id,
        name: client.name,
    };
    let page = AppsPage {
        shell: shell(&app, &signed_in.viewer, "Your apps", Nav::Apps),
        flash: done(&uri, &[("deleted", "The app was deleted. Its tokens no longer work.")])?,
        apps: clients.into_iter().map(row).collect(),
    };
    Ok(render(&page))
}
