//! Owns `/settings/keys/{id}`: one API key with its usage and history. A key of another user and one that does not
//! exist look alike. The forms on the page are handled by `change`.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{extract::State, http::Uri};

use super::row::{self, KeyRow};
use crate::{
    app::App,
    http::{
        page::{render_as, shell},
        signed_in::SignedIn,
    },
    model::{
        clock::Timestamp,
        error::Error,
        key::{ApiKey, KeyForm, KeyStatus},
        project::Project,
        usage::{HourUsage, day, days, hour},
        user::User,
    },
    ui::{Chart, Choice, Confirmation, Count, Flash, Nav, Shell, When},
    web::{
        denied::{self, DenialRow},
        events::{EventLine, Link, Names, line},
        feedback, format,
        request::{Id, PageResult, done},
    },
};

/// How long an old key may keep working beside the new one.
pub(in crate::web) const OVERLAPS: [(&str, &str); 4] =
    [("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days")];

const HOUR_SECONDS: i64 = 3600;

const DAY_SECONDS: i64 = 86_400;

const HOURS: i64 = 48;

const DAYS: i64 = 30;

/// Most events shown, and most refusals.
const LINES_MAX: i64 = 20;

/// `GET /settings/keys/{id}`: one key, its usage, and the actions on it.
#[derive(Debug, Template)]
#[template(path = "keys/detail.html")]
pub struct KeyPage {
    pub shell: Shell,
    pub flash: Option<Flash>,
    pub key: KeyRow,
    /// Its form, in words.
    pub kind: &'static str,
    pub is_live: bool,
    /// Whether its project allows only one live key, so that old and new keys cannot overlap.
    pub one_live_key: bool,
    pub bound: Confirmation,
    pub regenerate: Confirmation,
    pub rotate: Confirmation,
    pub overlaps: Vec<Choice>,
    pub networks: String,
    pub networks_error: Option<String>,
    pub hours: Chart,
    pub days: Chart,
    /// The networks it was used from, newest first.
    pub places: Vec<PlaceRow>,
    pub history: Vec<EventLine>,
    pub denials: Vec<DenialRow>,
}

/// A network that a key was used from.
#[derive(Debug, Clone)]
pub struct PlaceRow {
    pub network: String,
    pub first_seen: When,
}

/// A part of the page that requires a recent sign-in.
#[derive(PartialEq)]
pub(in crate::web) enum Part {
    Networks,
    Regenerate,
    Rotate,
}

/// Feedback about a form of this page. What may be typed are networks, which may be wrong.
pub(in crate::web) type Feedback = feedback::Feedback<(String, Option<String>), Part>;

/// `GET /settings/keys/{id}`
pub async fn show(State(app): State<Arc<App>>, Id(id): Id, signed_in: SignedIn, uri: Uri) -> PageResult {
    let (key, project) = owned(&app, &signed_in.user, &id).await?;
    let text = match key.networks.iter().count() {
        0 => "Saved. The key works from anywhere.".to_owned(),
        1 => "Saved. The key works only from one network.".to_owned(),
        count => format!("Saved. The key works only from these {count} networks."),
    };
    page(&app, &signed_in, key, project, Feedback::good(done(&uri, &[("networks", &text)])?)).await
}

/// The page of this key, which belongs to the signed-in user.
pub(in crate::web) async fn page(
    app: &App,
    signed_in: &SignedIn,
    key: ApiKey,
    project: Option<Project>,
    feedback: Feedback,
) -> PageResult {
    let now = signed_in.viewer.now;
    let user_id = &signed_in.user.id;
    let first_day = day(now).plus_seconds(-(DAYS - 1) * DAY_SECONDS);
    let usage = app.store.key_usage(&key.id, first_day).await?;
    let places = app.store.key_networks(&key.id).await?;
    let entries = app.store.audit_of_object(user_id, &key.id, LINES_MAX).await?;
    let names = Names::of(app, user_id, &entries).await?;
    let denials = app.store.denials_of_user(user_id, Some(&key.id)).await?;
    let shown = usize::try_from(LINES_MAX).unwrap_or_default();
    let [mut bound, regenerate, rotate] =
        feedback.confirmations(app, signed_in, [Part::Networks, Part::Regenerate, Part::Rotate]);
    // A key that works from anywhere cannot be widened.
    bound.ask_password &= !key.networks.is_any();
    let stored = || (key.networks.iter().collect::<Vec<_>>().join("\n"), None);
    let (networks, networks_error) = feedback.typed.unwrap_or_else(stored);
    let page = KeyPage {
        shell: shell(app, &signed_in.viewer, &key.name, Nav::Keys),
        flash: feedback.flash,
        kind: match key.form {
            KeyForm::Prefixed => "grantd key",
            KeyForm::Uuid => "UUID",
            KeyForm::Imported => "Imported",
        },
        is_live: key.status(now) == KeyStatus::Active,
        one_live_key: project.as_ref().is_some_and(|project| project.one_live_key),
        regenerate,
        rotate,
        overlaps: format::choices(&OVERLAPS, "24h"),
        bound,
        networks,
        networks_error,
        hours: hours(now, &usage),
        days: by_day(now, &usage),
        places: places
            .into_iter()
            .map(|(network, first_seen)| PlaceRow { network, first_seen: format::moment(first_seen) })
            .collect(),
        history: entries
            .iter()
            .map(|entry| of_this_key(line(entry, &names, user_id, format::moment(entry.at))))
            .collect(),
        denials: denials.into_iter().take(shown).map(|record| denied::row(record, &names, user_id)).collect(),
        key: row::row(now, project.as_ref(), key),
    };
    Ok(render_as(feedback.status, &page))
}

/// A line of the history on the key's own page, which calls it "this key".
fn of_this_key(line: EventLine) -> EventLine {
    let label = if line.before.is_empty() { "This key" } else { "this key" };
    EventLine { subject: line.subject.map(|_| Link { label: label.to_owned(), href: None }), ..line }
}

fn hours(now: Timestamp, usage: &[HourUsage]) -> Chart {
    let from = hour(now).plus_seconds(-(HOURS - 1) * HOUR_SECONDS);
    Chart::new("hours", "Last 48 hours", "hour", columns((from, HOURS, HOUR_SECONDS), usage, format::hour))
}

fn by_day(now: Timestamp, usage: &[HourUsage]) -> Chart {
    let from = day(now).plus_seconds(-(DAYS - 1) * DAY_SECONDS);
    Chart::new("days", "Last 30 days", "day", columns((from, DAYS, DAY_SECONDS), &days(usage), format::short_day))
}

/// One column for each interval, including those without requests.
fn columns(
    (from, count, seconds): (Timestamp, i64, i64),
    usage: &[HourUsage],
    word: fn(Timestamp) -> When,
) -> Vec<Count> {
    let by_start: HashMap<Timestamp, &HourUsage> = usage.iter().map(|usage| (usage.hour, usage)).collect();
    let column = |step: i64| {
        let at = from.plus_seconds(step * seconds);
        let usage = by_start.get(&at);
        let of = |number: fn(&HourUsage) -> i64| usage.map_or(0, |usage| number(usage));
        Count {
            at: word(at),
            allowed: of(|usage| usage.allowed),
            denied: of(|usage| usage.denied),
            limited: of(|usage| usage.limited),
        }
    };
    (0..count).map(column).collect()
}

/// The key with this id and its project, if the key belongs to this user.
pub(super) async fn owned(app: &App, user: &User, id: &str) -> Result<(ApiKey, Option<Project>), Error> {
    let key = app.store.find_key(id).await?.filter(|key| key.user_id == user.id).ok_or_else(Error::not_found)?;
    let project = match &key.project_id {
        Some(id) => app.store.find_project(id).await?,
        None => None,
    };
    Ok((key, project))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_have_a_column_for_every_hour_and_day() {
        let now = Timestamp::from_seconds(1_795_255_200);
        let used = |hours_ago: i64| HourUsage {
            hour: hour(now).plus_seconds(-hours_ago * HOUR_SECONDS),
            allowed: 1,
            denied: 2,
            limited: 3,
        };
        let usage = [used(29 * 24), used(48), used(47), used(0)];
        let hours = hours(now, &usage);
        assert_eq!((hours.counts.len(), hours.allowed), (48, 2));
        assert_eq!((hours.counts[0].total(), hours.counts[47].total()), (6, 6));
        assert_eq!(hours.counts[47].at.text, "21 Nov, 10:00");
        let days = by_day(now, &usage);
        assert_eq!((days.counts.len(), days.denied, days.counts[0].total()), (30, 8, 6));
        assert_eq!(days.counts[29].at.text, "21 Nov");
    }
}
