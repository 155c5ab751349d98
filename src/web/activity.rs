//! Owns `/settings/activity`: the events of the user's account, newest first, in pages. Does not own their wording; see
//! `events`.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};

use super::{
    events::{EventLine, Names, line},
    format,
    request::{PageResult, query},
};
use crate::{
    app::App,
    http::{
        page::{render, shell},
        signed_in::SignedIn,
    },
    ui::{Nav, Shell, When},
};

/// Events on one page.
const PAGE: usize = 50;

/// `GET /settings/activity`: the events of the user's account, newest first.
#[derive(Debug, Template)]
#[template(path = "activity.html")]
pub struct ActivityPage {
    pub shell: Shell,
    pub days: Vec<ActivityDay>,
    /// Whether this is not the first page.
    pub is_later: bool,
    /// URL of the next page.
    pub next: Option<String>,
}

/// The events of one day.
#[derive(Debug, Clone)]
pub struct ActivityDay {
    pub day: When,
    pub lines: Vec<EventLine>,
}

/// `GET /settings/activity`, with `before` from the second page on.
pub async fn show(State(app): State<Arc<App>>, signed_in: SignedIn, uri: Uri) -> PageResult {
    let user_id = &signed_in.user.id;
    let params = query(&uri)?;
    let before = params.get("before");
    // One more than is shown, to find out whether there is another page.
    let most = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let mut found = app.store.audit_of_user(user_id, before, most).await?;
    let is_more = found.len() > PAGE;
    found.truncate(PAGE);
    let (ids, entries): (Vec<_>, Vec<_>) = found.into_iter().map(|(id, entry)| (id, entry.seen_by(user_id))).unzip();
    let names = Names::of(&app, user_id, &entries).await?;
    let mut days: Vec<ActivityDay> = Vec::new();
    for entry in &entries {
        let day = format::day(entry.at);
        if days.last().is_none_or(|last| last.day.text != day.text) {
            days.push(ActivityDay { day, lines: Vec::new() });
        }
        if let Some(last) = days.last_mut() {
            last.lines.push(line(entry, &names, user_id, format::clock(entry.at)));
        }
    }
    let page = ActivityPage {
        shell: shell(&app, &signed_in.viewer, "Activity", Nav::None),
        days,
        is_later: before.is_some(),
        next: ids.into_iter().next_back().filter(|_| is_more),
    };
    Ok(render(&page))
}
