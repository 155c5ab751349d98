//! Owns what owners see of the use of their keys: `/api/v1/usage`, `/api/v1/keys/{id}/usage`, and why requests were
//! refused, `/api/v1/denials`.

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
/// Longest range by hour, in days, and by day.
const HOURLY_DAYS_MAX: i64 = 31;
const DAILY_DAYS_MAX: i64 = 400;

/// How often keys were used within a time range.
#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    /// Start of the range
    #[schema(format = DateTime)]
    from: String,
    /// End of the range
    #[schema(format = DateTime)]
    to: String,
    /// `hour` or `day`
    #[schema(format = "step")]
    by: &'static str,
    /// Hours or days with any requests, oldest first. Counts are written every few seconds
    items: Vec<Count>,
    /// The sum of all of them
    total: Total,
}

/// Requests within an hour or a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Count {
    /// Start of the hour or day, in UTC
    #[schema(format = DateTime)]
    start: String,
    #[serde(flatten)]
    total: Total,
}

/// Numbers of requests.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct Total {
    /// Accepted
    #[schema(minimum = 0)]
    allowed: i64,
    /// Refused with 401 or 403
    #[schema(minimum = 0)]
    denied: i64,
    /// Refused with 429
    #[schema(minimum = 0)]
    limited: i64,
}

/// The time range.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Span {
    /// RFC 3339, or seconds since the epoch; by default one day before `to`, or 30 days with `by=day`
    #[param(required = false, value_type = String, format = "moment")]
    from: Timestamp,
    /// RFC 3339, or seconds since the epoch; now by default
    #[param(required = false, value_type = String, format = "moment")]
    to: Timestamp,
    /// `hour` (the default) or `day`
    #[param(required = false, value_type = String, format = "step")]
    by: &'static str,
}

/// The user whose usage is requested.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// This user, by id or email; for administrators. Default: you
    #[param(format = "who")]
    user: Option<String>,
}

/// A refused request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    /// The request's `X-Request-ID`. A client may choose it, so it need not be unique
    request_id: String,
    /// When it was refused
    #[schema(format = DateTime)]
    at: String,
    /// HTTP status of the response
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// Reason
    reason: String,
    /// Its method, if the proxy sent it
    method: Option<String>,
    /// Its path without the query, if the proxy sent it
    path: Option<String>,
    /// Required scopes that its credential does not have
    needs: Option<String>,
    /// Slug of the API it was for
    #[schema(format = "slug")]
    api: Option<String>,
    /// The key it was sent with
    #[schema(format = "key-id")]
    key: Option<String>,
    /// The client whose token it was sent with
    #[schema(format = "client-id")]
    client: Option<String>,
    /// The user of the credential
    #[schema(format = "user-id")]
    user: Option<String>,
    /// Address of the sender
    #[schema(format = "address")]
    address: String,
}

/// Filters of the list of refused requests.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageFilter {
    /// Requests of this user, by id or email; for administrators, who otherwise see all
    #[param(format = "who")]
    user: Option<String>,
    /// Requests with this key
    key_id: Option<String>,
    /// Requests for this API, by its slug
    api: Option<String>,
}

impl Span {
    fn of(query: &Query<'_>, now: Timestamp) -> Result<Self, Error> {
        let by = if query.one_of("by", &["hour", "day"])? == Some("day") { "day" } else { "hour" };
        let (usual, most) = if by == "day" { (30, DAILY_DAYS_MAX) } else { (1, HOURLY_DAYS_MAX) };
        // Includes the current hour, even at its very start.
        let to = query.moment("to")?.unwrap_or_else(|| now.plus_seconds(1));
        let from = query.moment("from")?.unwrap_or_else(|| to.plus_seconds(-usual * DAY_SECONDS));
        if from >= to || from.plus_seconds(most * DAY_SECONDS) < to {
            return Err(Error::invalid_request(format!("from must be before to, by at most {most} days with by={by}")));
        }
        // Whole hours, because counts are kept by the hour.
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

/// How often a user's keys were used, in total
///
/// At most the newest 5,000 keys are added up.
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
/// The id is the `X-Request-ID` of a 401, 403 or 429 response. Users see their own requests; administrators see all.
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
