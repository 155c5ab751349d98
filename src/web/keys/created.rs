//! Owns the only page that ever shows a new key.

use std::fmt;

use askama::Template;
use axum::response::Response;

use crate::{
    app::App,
    http::{
        page::{render, shell},
        signed_in::SignedIn,
    },
    model::{key::ApiKey, project::Project},
    ui::{Nav, Shell, When, shell_quote},
    web::{events::Link, format},
};

/// The response for a new key: the only page that ever shows it.
#[derive(Template)]
#[template(path = "keys/created.html")]
pub struct KeyCreatedPage {
    pub shell: Shell,
    pub id: String,
    pub name: String,
    pub key: String,
    pub environment: String,
    pub scopes: Vec<String>,
    pub expires: Option<When>,
    /// A sentence about the key that it replaces.
    pub before: Option<String>,
    /// The page to return to.
    pub back: Link,
    /// A command to paste that uses the key.
    pub curl: String,
}

impl fmt::Debug for KeyCreatedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCreatedPage").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The only page that ever shows this key. `before` is a sentence about the key that it replaces.
pub(in crate::web) fn created(
    app: &App,
    signed_in: &SignedIn,
    secret: &str,
    key: &ApiKey,
    project: Option<&Project>,
    before: Option<String>,
) -> Response {
    let url = shell_quote(&format!("{}/v1/users/me", app.config.issuer));
    let back = match project {
        Some(project) => (project.name.clone(), format!("/settings/projects/{}", project.id)),
        None => ("my keys".to_owned(), "/settings/keys".to_owned()),
    };
    let page = KeyCreatedPage {
        shell: shell(app, &signed_in.viewer, "Your new key", Nav::Keys),
        id: key.id.clone(),
        name: key.name.clone(),
        key: secret.to_owned(),
        environment: key.environment.clone(),
        scopes: key.scopes.iter().map(ToOwned::to_owned).collect(),
        expires: key.expires_at.map(format::day),
        before,
        back: Link { label: back.0, href: Some(back.1) },
        curl: format!("curl {url} \\\n  -H {}", shell_quote(&format!("Authorization: Bearer {secret}"))),
    };
    render(&page)
}
