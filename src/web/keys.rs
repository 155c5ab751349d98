//! Owns `/settings/keys`: a user's API keys, making one, and how a new key is shown. Does not own the page of one key;
//! see `own_key`.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    format,
    key_form::{self, Submission},
    request::{PageResult, query, signed_form},
};
use crate::{
    app::App,
    http::{
        extract::RequestInfo,
        page::{render, shell},
        session::SignedIn,
    },
    model::{
        clock::Timestamp,
        key::{ApiKey, KeyStatus},
        project::Project,
    },
    view::{Flash, KeyCreatedPage, KeyForm, KeyRow, KeysPage, LastUse, Link, Nav, Tone, shell_quote},
};

/// A key that ends this soon is pointed out, in seconds.
const SOON_SECONDS: i64 = 7 * 86_400;
/// What somebody reads who sends a form again.
pub(super) const SENT_BEFORE: &str = "This form was sent before, and its key is in the list. A key is shown only once.";

/// `GET /settings/keys`
pub async fn list(State(app): State<Arc<App>>, info: RequestInfo, uri: Uri, headers: HeaderMap) -> PageResult {
    let signed_in = SignedIn::of(&app, info.now, &headers).await?;
    let flash = (query(&uri)?.get("done") == Some("revoked"))
        .then(|| Flash { tone: Tone::Good, text: "The key was revoked. It no longer works.".to_owned() });
    let projects = app.store.list_projects(&signed_in.user.id).await?;
    let form = key_form::blank(&app, &info, &signed_in, &projects);
    page(&app, &info, &signed_in, flash, (form, projects), StatusCode::OK).await
}

/// `POST /settings/keys`
pub async fn create(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> PageResult {
    let (signed_in, body) = signed_form(&app, &info, request).await?;
    let projects = app.store.list_projects(&signed_in.user.id).await?;
    match key_form::submit(&app, &info, &signed_in, &body.params()?, &projects, None).await? {
        Submission::Made(secret, key) => {
            let project = projects.iter().find(|project| Some(&project.id) == key.project_id.as_ref());
            Ok(created(&app, &signed_in, secret.expose(), &key, project, None))
        }
        Submission::Wrong(form) => {
            page(&app, &info, &signed_in, None, (*form, projects), StatusCode::BAD_REQUEST).await
        }
        Submission::Again => {
            let form = key_form::blank(&app, &info, &signed_in, &projects);
            let flash = Flash { tone: Tone::Warn, text: SENT_BEFORE.to_owned() };
            page(&app, &info, &signed_in, Some(flash), (form, projects), StatusCode::CONFLICT).await
        }
    }
}

async fn page(
    app: &App,
    info: &RequestInfo,
    signed_in: &SignedIn,
    flash: Option<Flash>,
    (form, projects): (KeyForm, Vec<Project>),
    status: StatusCode,
) -> PageResult {
    let keys = app.store.list_keys(info.now, &signed_in.user.id, None).await?;
    let (active, ended) = rows(info.now, keys, &projects);
    let page = KeysPage { shell: shell(app, &signed_in.viewer, "API keys", Nav::Keys), flash, active, ended, form };
    let mut response = render(&page);
    *response.status_mut() = status;
    Ok(response)
}

/// Keys as rows: the live ones, and those that have ended.
pub(super) fn rows(now: Timestamp, keys: Vec<ApiKey>, projects: &[Project]) -> (Vec<KeyRow>, Vec<KeyRow>) {
    let projects: HashMap<&str, &Project> = projects.iter().map(|project| (project.id.as_str(), project)).collect();
    let (active, ended): (Vec<ApiKey>, Vec<ApiKey>) =
        keys.into_iter().partition(|key| key.status(now) == KeyStatus::Active);
    let mut replaced: HashMap<String, Link> =
        active.iter().filter_map(|key| Some((key.replaced_by.clone()?, link(&key.id, &key.hint)))).collect();
    let mut rows = |keys: Vec<ApiKey>| {
        let of = |key: &ApiKey| key.project_id.as_deref().and_then(|id| projects.get(id).copied());
        keys.into_iter().map(|key| KeyRow { replaces: replaced.remove(&key.id), ..row(now, of(&key), key) }).collect()
    };
    (rows(active), rows(ended))
}

/// A key as a row; `project` is its own.
pub(super) fn row(now: Timestamp, project: Option<&Project>, key: ApiKey) -> KeyRow {
    let ends_soon = key.expires_at.is_some_and(|end| end <= now.plus_seconds(SOON_SECONDS));
    let replaced_by = key.replaced_by.as_deref().map(|id| link(id, "the new key"));
    let (status, tone) = match key.status(now) {
        KeyStatus::Active if project.is_some_and(|project| project.is_disabled()) => ("project disabled", Tone::Warn),
        KeyStatus::Active if replaced_by.is_some() => ("being replaced", Tone::Warn),
        KeyStatus::Active if ends_soon => ("expires soon", Tone::Warn),
        KeyStatus::Active => ("active", Tone::Good),
        KeyStatus::Expired => ("expired", Tone::Quiet),
        KeyStatus::Revoked => ("revoked", Tone::Bad),
    };
    KeyRow {
        hint: format!("{}…{}", key.prefix, key.hint),
        project: project.map(|project| Link {
            label: project.name.clone(),
            href: Some(format!("/settings/projects/{}", project.id)),
        }),
        plan: key.plan,
        networks: key.networks.iter().collect(),
        scopes: key.scopes.iter().map(ToOwned::to_owned).collect(),
        created: format::day(key.created_at),
        last_used: key.last_used_at.map(|at| LastUse {
            at: format::ago(now, at),
            address: key.last_address,
            agent: key.last_agent,
        }),
        expires: key.expires_at.map(format::day),
        id: key.id,
        name: key.name,
        environment: key.environment,
        status: status.to_owned(),
        tone,
        replaced_by,
        replaces: None,
    }
}

/// Words that lead to the page of a key.
fn link(id: &str, label: &str) -> Link {
    Link { label: label.to_owned(), href: Some(format!("/settings/keys/{id}")) }
}

/// The one page that ever shows this key. `before` says what becomes of the key whose place it takes.
pub(super) fn created(
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
