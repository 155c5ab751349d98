//! Owns `/settings/denied`: why a request was refused, for the owner of its credential or an administrator. A refusal
//! without an owner, one of another user and an unknown id look alike.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};

use super::{
    events::{Link, Names},
    format,
    request::{PageResult, query},
};
use crate::{
    app::App,
    http::{
        extract::RequestInfo,
        page::{render, shell},
        signed_in::SignedIn,
    },
    model::{
        audit::Event,
        denial::{DenialRecord, DeniedRequest},
        error::Error,
    },
    ui::{Nav, Shell, When, sentence},
};

/// Longest possible request id, in characters.
const REQUEST_ID_MAX: usize = 64;

/// Refusals shown before a search.
const NEWEST_MAX: usize = 50;

/// `GET /settings/denied`: why a request was refused.
#[derive(Debug, Template)]
#[template(path = "denied.html")]
pub struct DeniedPage {
    pub shell: Shell,
    /// The id searched for; empty on the first visit.
    pub request_id: String,
    pub problem: Option<String>,
    /// The refusals of one id; several requests may share an id that their senders chose.
    pub found: Vec<DenialRow>,
    /// The viewer's newest refusals, until there is a search.
    pub newest: Vec<DenialRow>,
    /// Whether the viewer sees the refusals of all users.
    pub is_admin: bool,
}

/// One refused request.
#[derive(Debug, Clone)]
pub struct DenialRow {
    pub at: When,
    pub status: u16,
    /// The meaning of the status, in a word.
    pub meaning: &'static str,
    pub reason: String,
    /// Method and path, if known.
    pub request: Option<String>,
    /// Advice for the owner.
    pub advice: Option<String>,
    pub request_id: String,
    pub api: Option<String>,
    /// The credential: its label, and the path of its page if the viewer has one.
    pub credential: Option<Link>,
    /// The owner, for administrators.
    pub owner: Option<String>,
    pub address: String,
}

/// `GET /settings/denied`, with `request_id` for a search.
pub async fn show(State(app): State<Arc<App>>, signed_in: SignedIn, info: RequestInfo, uri: Uri) -> PageResult {
    let params = query(&uri)?;
    let request_id: String = params.get("request_id").unwrap_or_default().trim().chars().take(REQUEST_ID_MAX).collect();
    let found = find(&app, &info, &signed_in, &request_id).await?;
    let newest = if request_id.is_empty() { newest(&app, &signed_in).await? } else { Vec::new() };
    let problem = (!request_id.is_empty() && found.is_empty())
        .then(|| "Nothing found. No refused request with this id used one of your credentials.".to_owned());
    let page = DeniedPage {
        shell: shell(&app, &signed_in.viewer, "Why was my request refused?", Nav::None),
        request_id,
        problem,
        found,
        newest,
        is_admin: signed_in.user.admin,
    };
    Ok(render(&page))
}

async fn find(app: &App, info: &RequestInfo, signed_in: &SignedIn, request_id: &str) -> Result<Vec<DenialRow>, Error> {
    if request_id.is_empty() {
        return Ok(Vec::new());
    }
    let user = &signed_in.user;
    let only = (!user.admin).then_some(user.id.as_str());
    let records = app.denials.of_request(&app.store, request_id, only).await?;
    let keys = records.iter().filter_map(|record| record.key_id.as_deref());
    let mut names = Names::of_things(app, &user.id, keys).await?;
    let mut read = Vec::new();
    for record in &records {
        if let Some(id) = &record.client_id {
            names.learn_client(app, id).await?;
        }
        if let Some(owner) = record.user_id.as_ref().filter(|owner| **owner != user.id && !read.contains(*owner)) {
            read.push(owner.clone());
        }
    }
    // Users can see in their activity that an administrator read their refusals.
    let entries = read.iter().map(|owner| (info.origin(&user.id), Event::new("denial.read").user(owner))).collect();
    if !read.is_empty() {
        app.store.audit(info.now, entries).await?;
    }
    Ok(records.into_iter().map(|record| row(record, &names, &user.id)).collect())
}

/// The viewer's newest refusals, of all keys and apps.
async fn newest(app: &App, signed_in: &SignedIn) -> Result<Vec<DenialRow>, Error> {
    let user = &signed_in.user;
    let records = app.denials.newest(&app.store, &user.id, NEWEST_MAX).await?;
    let keys = records.iter().filter_map(|record| record.key_id.as_deref());
    let mut names = Names::of_things(app, &user.id, keys).await?;
    for id in records.iter().filter_map(|record| record.client_id.as_ref()) {
        names.learn_client(app, id).await?;
    }
    Ok(records.into_iter().map(|record| row(record, &names, &user.id)).collect())
}

/// Advice for the owner of the refused credential.
fn advice(record: &DenialRecord) -> Option<String> {
    let DeniedRequest { method, path, needs, holds } = &record.asked;
    let request = match (method, path) {
        (Some(method), Some(path)) => format!("{method} {path}"),
        _ => "The request".to_owned(),
    };
    let what = if record.key_id.is_some() { "key" } else { "token" };
    Some(match (record.kind?, needs) {
        ("scope", Some(needs)) => {
            let held = match holds.as_deref().unwrap_or_default() {
                "" => format!("This {what} has no permissions for this API."),
                held => format!("This {what} has {held}."),
            };
            let next = if what == "key" { "Create a key with this permission." } else { "The app has to ask for this permission." };
            format!("{held} {request} needs {needs}. {next}")
        }
        ("route", _) => format!("{request} is not allowed by this API. Check the method and the path."),
        ("limited", _) => "Send fewer requests, or ask for a higher plan.".to_owned(),
        ("network", _) => {
            "Send it from an allowed network, or change the allowed networks on the key's page.".to_owned()
        }
        ("no_address", _) => {
            "This key is limited to networks, but the API did not report the sender's address. Contact the operator of the \
             API, or remove the networks on the key's page."
                .to_owned()
        }
        ("expired" | "revoked", _) if what == "key" => "Create a new key and use it instead.".to_owned(),
        ("expired" | "revoked", _) => "The app has to refresh its token or ask you again.".to_owned(),
        ("audience", _) if what == "key" => {
            "Create a key with permissions for this API alone. A key that manages grantd is refused by other APIs.".to_owned()
        }
        ("audience", _) => "Let the app ask for a permission for this API.".to_owned(),
        ("wrong_kind", _) => "Send an access token or an API key.".to_owned(),
        ("disabled", _) => "Enable the project or the app, or ask the administrator.".to_owned(),
        _ => return None,
    })
}

/// A refusal as shown to `viewer`.
pub(super) fn row(record: DenialRecord, names: &Names, viewer: &str) -> DenialRow {
    let is_own = record.user_id.as_deref() == Some(viewer);
    let advice = advice(&record).filter(|_| is_own);
    let client = record.client_id.map(|id| names.clients.get(&id).cloned().unwrap_or(id));
    let credential = match (record.key_id, client) {
        (Some(id), _) if is_own => Some(names.key(&id)),
        (Some(id), _) => Some(Link { label: id, href: None }),
        (None, Some(app)) => Some(Link { label: format!("a token of {app}"), href: None }),
        (None, None) => None,
    };
    let DeniedRequest { method, path, .. } = record.asked;
    DenialRow {
        advice,
        request: method.zip(path).map(|(method, path)| format!("{method} {path}")),
        at: format::moment(record.at),
        meaning: match record.status {
            401 => "unauthorized",
            403 => "forbidden",
            429 => "too many requests",
            _ => "refused",
        },
        status: record.status,
        reason: sentence(&record.reason),
        request_id: record.request_id,
        api: record.api,
        credential,
        owner: record.user_id.filter(|_| !is_own),
        address: record.address,
    }
}
