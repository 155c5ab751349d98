//! Owns one key as a row of a list, on every page that lists keys.

use std::{collections::HashMap, time::Duration};

use crate::{
    model::{
        clock::Timestamp,
        key::{ApiKey, KeyStatus},
        project::Project,
    },
    ui::{Tone, When},
    web::{events::Link, format},
};

/// Keys on one page: about 2,500 pixels.
const PAGE: usize = 12;
/// A key that expires this soon is highlighted, in seconds.
const SOON: Duration = Duration::from_hours(7 * 24);

/// One key in the list, without the key itself; `hint` is its prefix and last four characters.
#[derive(Debug, Clone)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    pub hint: String,
    /// `live`, `test`, or another configured name.
    pub environment: String,
    pub project: Option<Link>,
    /// A plan of its own.
    pub plan: Option<String>,
    /// The networks in which it may be used; empty means anywhere.
    pub networks: Vec<String>,
    pub scopes: Vec<String>,
    pub created: When,
    pub last_used: Option<LastUse>,
    pub expires: Option<When>,
    pub status: String,
    pub tone: Tone,
    /// The key that replaced it.
    pub replaced_by: Option<Link>,
    /// The key that it replaced, as long as that one works.
    pub replaces: Option<Link>,
}

impl KeyRow {
    /// Its networks in short form.
    pub fn networks_short(&self) -> String {
        match self.networks.as_slice() {
            [] => "anywhere".to_owned(),
            [one] => one.clone(),
            [one, rest @ ..] => format!("{one} and {} more", rest.len()),
        }
    }
}

/// The last time a key was accepted.
#[derive(Debug, Clone)]
pub struct LastUse {
    pub at: When,
    pub address: Option<String>,
    pub agent: Option<String>,
}

/// One page of a list of keys.
#[derive(Debug, Clone)]
pub struct KeyRows {
    pub rows: Vec<KeyRow>,
    /// The number of keys on all pages.
    pub count: usize,
    /// Whether this is not the first page.
    pub is_later: bool,
    /// The number of keys before the next page.
    pub next: Option<usize>,
}

impl KeyRows {
    fn page(mut rows: Vec<KeyRow>, from: usize) -> Self {
        let (count, next) = (rows.len(), from.saturating_add(PAGE));
        rows.drain(..from.min(count));
        rows.truncate(PAGE);
        Self { rows, count, is_later: from > 0, next: (next < count).then_some(next) }
    }
}

/// Keys as rows: the active ones after the first `from`, and the newest of those that have ended.
pub(in crate::web) fn rows(now: Timestamp, keys: Vec<ApiKey>, projects: &[Project], from: usize) -> (KeyRows, KeyRows) {
    let projects: HashMap<&str, &Project> = projects.iter().map(|project| (project.id.as_str(), project)).collect();
    let (active, ended): (Vec<ApiKey>, Vec<ApiKey>) =
        keys.into_iter().partition(|key| key.status(now) == KeyStatus::Active);
    let mut replaced: HashMap<String, Link> =
        active.iter().filter_map(|key| Some((key.replaced_by.clone()?, link(&key.id, &key.hint)))).collect();
    let mut rows = |keys: Vec<ApiKey>| {
        let of = |key: &ApiKey| key.project_id.as_deref().and_then(|id| projects.get(id).copied());
        keys.into_iter().map(|key| KeyRow { replaces: replaced.remove(&key.id), ..row(now, of(&key), key) }).collect()
    };
    (KeyRows::page(rows(active), from), KeyRows::page(rows(ended), 0))
}

/// A key as a row; `project` is the key's project.
pub(in crate::web) fn row(now: Timestamp, project: Option<&Project>, key: ApiKey) -> KeyRow {
    let ends_soon = key.expires_at.is_some_and(|end| end <= now + SOON);
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

/// A link to the page of a key.
fn link(id: &str, label: &str) -> Link {
    Link { label: label.to_owned(), href: Some(format!("/settings/keys/{id}")) }
}
