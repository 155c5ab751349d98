//! Owns what owners see of their keys' use: `/api/v1/usage`, `/api/v1/keys/{id}/usage`, and why requests were refused,
//! `/api/v1/denials`. Does not count; see `engine::usage`.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    auth::{Authorized, UsageRead, no_such},
    keys,
    page::{Page, Paging, page},
    path::{Id, IdAndQuery},
    query::{ListQuery, Query},
};
use crate::{
    app::App,
    http::{problem::Problem, reply},
    model::{
        clock::Timestamp,
        denial::DenialRecord,
        error::Error,
        usage::{HourUsage, days, hour},
    },
    store::DenialFilter,
};

const DAY_SECONDS: i64 = 86_400;
/// Longest span told by hour, in days, and by day.
const HOURLY_DAYS_MAX: i64 = 31;
const DAILY_DAYS_MAX: i64 = 400;

/// How often keys were used within a span.
#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    /// Where the span begins
    #[schema(format = DateTime)]
    from: String,
    /// Where it ends
    #[schema(format = DateTime)]
    to: String,
    /// `hour` or `day`
    #[schema(format = "step")]
    by: &'static str,
    /// Those in which anything happened, oldest first. Counts are written every few seconds
    items: Vec<Count>,
    /// All of them together
    total: Total,
}

/// Requests within an hour or a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Count {
    /// When it began, in UTC
    #[schema(format = DateTime)]
    start: String,
    #[serde(flatten)]
    total: Total,
}

/// Requests.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct Total {
    /// That passed
    #[schema(minimum = 0)]
    allowed: i64,
    /// Refused for what the key is or may do
    #[schema(minimum = 0)]
    denied: i64,
    /// Refused as too many
    #[schema(minimum = 0)]
    limited: i64,
}

/// Which span.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Span {
    /// RFC 3339, or seconds since the epoch; a day before `to` by hour, 30 days by day
    #[param(required = false, value_type = String, format = "moment")]
    from: Timestamp,
    /// RFC 3339, or seconds since the epoch; now if left out
    #[param(required = false, value_type = String, format = "moment")]
    to: Timestamp,
    /// `hour` (if left out) or `day`
    #[param(required = false, value_type = String, format = "step")]
    by: &'static str,
}

/// Whose usage.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// Of this user, by id or address; for administrators, else your own
    #[param(format = "who")]
    user: Option<String>,
}

/// One refused request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    /// As answered in `X-Request-ID`. May come from the sender: several may be alike
    request_id: String,
    /// When
    #[schema(format = DateTime)]
    at: String,
    /// What it was answered
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// Why
    reason: String,
    /// Its method, where the proxy says it
    method: Option<String>,
    /// Its path without the query, where the proxy says it
    path: Option<String>,
    /// Scopes that it needs and its credential lacks
    needs: Option<String>,
    /// Slug of the API it was for
    #[schema(format = "slug")]
    api: Option<String>,
    /// The key it carried
    #[schema(format = "key-id")]
    key: Option<String>,
    /// The client that holds the token it carried
    #[schema(format = "client-id")]
    client: Option<String>,
    /// The user of the credential
    #[schema(format = "user-id")]
    user: Option<String>,
    /// Who sent it
    #[schema(format = "address")]
    address: String,
}

/// Which refusals.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageFilter {
    /// Of this user, by id or address; for administrators, who else see everybody's
    #[param(format = "who")]
    user: Option<String>,
    /// That carried this key
    key_id: Option<String>,
    /// For this API, by its slug
    api: Option<String>,
}

impl Span {
    fn of(query: &Query<'_>, now: Timestamp) -> Result<Self, Error> {
        let by = if query.one_of("by", &["hour", "day"])? == Some("day") { "day" } else { "hour" };
        let (usual, most) = if by == "day" { (30, DAILY_DAYS_MAX) } else { (1, HOURLY_DAYS_MAX) };
        // The hour that has begun is told too, also at its very start.
        let to = query.moment("to")?.unwrap_or_else(|| now.plus_seconds(1));
        let from = query.moment("from")?.unwrap_or_else(|| to.plus_seconds(-usual * DAY_SECONDS));
        if from >= to || from.plus_seconds(most * DAY_SECONDS) < to {
            return Err(Error::invalid_request(format!("from is before to, by at most {most} days by {by}")));
        }
        // Whole hours: what is counted in one cannot be told apart.
        Ok(Self { from: hour(from), to, by })
    }

    fn usage(&self, hours: &[HourUsage]) -> Usage {
        let within: Vec<HourUsage> = hours.iter().filter(|usage| usage.hour < self.to).copied().collect();
        let counts = if self.by == "day" { days(&within) } else { within };
        let total = |count: &HourUsage| Total { allowed: count.allowed, denied: count.denied, limited: count.limited };
        Usage {
            from: self.from.rfc3339(),
            to: self.to.rfc3339(),
            by: self.by,
            total: counts.iter().fold(Total::default(), |sum, count| Total {
                allowed: sum.allowed + count.allowed,
                denied: sum.denied + count.denied,
                limited: sum.limited + count.limited,
            }),
            items: counts.iter().map(|count| Count { start: count.hour.rfc3339(), total: total(count) }).collect(),
        }
    }
}

impl From<DenialRecord> for Refused {
    fn from(record: DenialRecord) -> Self {
        Self {
            request_id: record.request_id,
            at: record.at.rfc3339(),
            status: record.status,
            reason: record.reason,
            method: record.asked.method,
            path: record.asked.path,
            needs: record.asked.needs,
            api: record.api,
            key: record.key_id,
            client: record.client_id,
            user: record.user_id,
            address: record.address,
        }
    }
}

/// How often a user's keys were used, all together
///
/// The newest 5,000 keys are added up.
#[utoipa::path(get, path = "/api/v1/usage", tag = "usage", params(Whose, Span),
    responses((status = 200, body = Usage)))]
pub async fn of_user(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<UsageRead>,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.note_escalation(&app, caller.bounds().reaches_project(None))?;
    let query = Query::parse(&uri, &["user", "from", "to", "by"])?;
    let (whose, span) = (Whose { user: query.get("user").map(ToOwned::to_owned) }, Span::of(&query, caller.info.now)?);
    let owner = match (caller.owner_filter(&app, whose.user.as_deref()).await?, caller.holder()) {
        (Some(owner), _) => owner,
        (None, Some(holder)) => holder.user.id.clone(),
        (None, None) => return Err(Error::invalid_request("user is required").into()),
    };
    Ok(reply::json(&span.usage(&app.store.user_usage(&owner, span.from, span.to).await?)))
}

/// How often one key was used
#[utoipa::path(get, path = "/api/v1/keys/{id}/usage", tag = "usage", params(("id" = String, Path, format = "id"), Span),
    responses((status = 200, body = Usage)))]
pub async fn of_key(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<UsageRead>,
    IdAndQuery(id): IdAndQuery,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(&uri, &["from", "to", "by"])?;
    let span = Span::of(&query, caller.info.now)?;
    keys::within_reach(&app, &caller, &id).await?;
    Ok(reply::json(&span.usage(&app.store.key_usage(&id, span.from).await?)))
}

/// List refused requests
#[utoipa::path(get, path = "/api/v1/denials", tag = "usage", params(UsageFilter, Paging),
    responses((status = 200, body = Page<Refused>)))]
pub async fn denials(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<UsageRead>,
    ListQuery { filter, paging }: ListQuery<UsageFilter>,
) -> Result<Response, Problem> {
    caller.note_escalation(&app, caller.bounds().reaches_project(None))?;
    let user = caller.owner_filter(&app, filter.user.as_deref()).await?;
    let filter = DenialFilter { user: user.as_deref(), key: filter.key_id.as_deref(), api: filter.api.as_deref() };
    let read = |after, limit| app.store.denials_after(filter, after, limit);
    Ok(reply::json(&page(&app, "denials", &paging, read, Refused::from).await?))
}

/// Why a request was refused
///
/// The id is the `X-Request-ID` of a 401, 403 or 429. Known for what you own; to an administrator for everything.
#[utoipa::path(get, path = "/api/v1/denials/{request_id}", tag = "usage", params(("request_id" = String, Path, format = "id")),
    responses((status = 200, body = Page<Refused>)))]
pub async fn denial(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<UsageRead>,
    Id(request_id): Id,
) -> Result<Response, Problem> {
    caller.note_escalation(&app, caller.bounds().reaches_project(None))?;
    let owner = caller.owner_filter(&app, None).await?;
    let found = app.denials.of_request(&app.store, &request_id, owner.as_deref()).await?;
    if found.is_empty() {
        return Err(no_such("refused request").into());
    }
    Ok(reply::json(&Page { items: found.into_iter().map(Refused::from).collect(), next: None }))
}
