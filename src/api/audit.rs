//! Owns `/api/v1/audit`: the audit log, of one's own things or for administrators of all. Entries are written with each
//! change, in its transaction.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    auth::{AuditRead, Authorized, Holder},
    page::{Page, Paging, page},
    query::{ListQuery, moment},
};
use crate::{
    app::App,
    http::{problem::Problem, reply},
    model::clock::Timestamp,
    store::{self, AuditEntry},
};

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// When it happened
    #[schema(format = DateTime)]
    at: String,
    /// Event, such as `key.revoke`
    event: String,
    /// `ok` or `denied`
    #[schema(format = "outcome")]
    outcome: String,
    /// Who acted: a user with the key or client, a client, `cli`, `system` or `anonymous`. Users only see
    /// `an administrator` for administrators
    actor: String,
    /// The user concerned
    #[schema(format = "user-id")]
    user: Option<String>,
    /// The client concerned
    #[schema(format = "client-id")]
    client: Option<String>,
    /// The key, project, API, grant or token concerned
    object: Option<String>,
    /// Why it was denied
    reason: Option<String>,
    /// Address of the sender; empty if there was none
    address: String,
    /// The request's `X-Request-ID`
    request_id: String,
    /// How many equal events this entry counts
    #[schema(minimum = 1)]
    times: i64,
}

/// Filters of the audit log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Entries about this user, by id or email; for administrators, who otherwise see all entries
    #[param(format = "who")]
    user: Option<String>,
    /// Entries about this client
    client: Option<String>,
    /// Entries about this key, project, API, grant or token
    object: Option<String>,
    /// Event, such as `key.revoke`; `key.` means every event that begins with it
    event: Option<String>,
    /// `ok` or `denied`
    #[param(value_type = Option<String>, format = "outcome")]
    outcome: Option<Outcome>,
    /// Not before this time: RFC 3339, or seconds since the epoch
    #[param(required = false, value_type = String, format = "moment")]
    #[serde(default, deserialize_with = "moment")]
    from: Option<Timestamp>,
    /// Before this time: RFC 3339, or seconds since the epoch
    #[param(required = false, value_type = String, format = "moment")]
    #[serde(default, deserialize_with = "moment")]
    to: Option<Timestamp>,
}

/// The outcome of an event.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Denied,
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: entry.at.rfc3339(),
            event: entry.event,
            outcome: entry.outcome,
            actor: entry.actor,
            user: entry.user_id,
            client: entry.client_id,
            object: entry.object,
            reason: entry.reason,
            address: entry.address,
            request_id: entry.request_id,
            times: entry.times,
        }
    }
}

/// List the audit log, newest first
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditFilter, Paging),
    responses((status = 200, body = Page<Entry>)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<AuditRead>,
    ListQuery { filter, paging }: ListQuery<AuditFilter>,
) -> Result<Response, Problem> {
    let user = caller.owner_filter(&app, filter.user.as_deref()).await?;
    let filter = store::AuditFilter {
        user: user.as_deref(),
        client: filter.client.as_deref(),
        object: filter.object.as_deref(),
        event: filter.event.as_deref(),
        outcome: filter.outcome.map(|outcome| match outcome {
            Outcome::Ok => "ok",
            Outcome::Denied => "denied",
        }),
        from: filter.from,
        to: filter.to,
    };
    let read = |after, limit| app.store.audit_after(filter, after, limit);
    let show = |entry: AuditEntry| match caller.holder() {
        Some(Holder { user, .. }) if !user.admin => entry.seen_by(&user.id).into(),
        _ => Entry::from(entry),
    };
    Ok(reply::json(&page(&app, "audit", &paging, read, show).await?))
}
