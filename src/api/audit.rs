//! Owns `/api/v1/audit`: what happened, to one's own things or for administrators to all. Does not write entries; every change
//! writes its own.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    auth::{AuditRead, Authorized, Holder},
    page::{Page, Paging, Query, fill},
};
use crate::{
    app::App,
    http::{problem::Problem, reply},
    model::clock::Timestamp,
    store::{AuditEntry, Position},
};

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// When
    #[schema(format = DateTime)]
    at: String,
    /// Such as `key.revoke`
    event: String,
    /// `ok` or `denied`
    #[schema(format = "outcome")]
    outcome: String,
    /// Who acted: a user with the key or client, a client, `cli`, `system` or `anonymous`. Users are told of
    /// `an administrator` and no more
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
    /// From which address; empty where there is none to tell
    address: String,
    /// As answered in `X-Request-ID`
    request_id: String,
    /// How often, where equal events were counted together
    #[schema(minimum = 1)]
    times: i64,
}

/// Which entries.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Concerning this user, by id or address; for administrators, who else see all
    #[param(format = "who")]
    user: Option<String>,
    /// Concerning this client
    client: Option<String>,
    /// Concerning this key, project, API, grant or token
    object: Option<String>,
    /// Such as `key.revoke`; `key.` means every event that begins so
    event: Option<String>,
    /// `ok` or `denied`
    #[param(format = "outcome")]
    outcome: Option<String>,
    /// Not before this moment: RFC 3339, or seconds since the epoch
    #[param(required = false, value_type = String, format = "moment")]
    from: Option<Timestamp>,
    /// Before this moment
    #[param(required = false, value_type = String, format = "moment")]
    to: Option<Timestamp>,
}

impl AuditFilter {
    fn matches(&self, entry: &AuditEntry) -> bool {
        let is = |asked: &Option<String>, value: Option<&String>| asked.is_none() || asked.as_ref() == value;
        let event = |asked: &String| *asked == entry.event || asked.ends_with('.') && entry.event.starts_with(asked);
        is(&self.client, entry.client_id.as_ref())
            && is(&self.object, entry.object.as_ref())
            && is(&self.outcome, Some(&entry.outcome))
            && self.event.as_ref().is_none_or(event)
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at < to)
    }
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

/// List what happened, newest first
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditFilter, Paging),
    responses((status = 200, body = Page<Entry>)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Authorized(caller, ..): Authorized<AuditRead>,
    uri: Uri,
) -> Result<Response, Problem> {
    let names = ["user", "client", "object", "event", "outcome", "from", "to", "limit", "cursor"];
    let query = Query::parse(&uri, &names)?;
    let own = |name| query.get(name).map(ToOwned::to_owned);
    let filter = AuditFilter {
        user: own("user"),
        client: own("client"),
        object: own("object"),
        event: own("event"),
        outcome: query.one_of("outcome", &["ok", "denied"])?.map(ToOwned::to_owned),
        from: query.moment("from")?,
        to: query.moment("to")?,
    };
    let owner = caller.owner_filter(&app, filter.user.as_deref()).await?;
    let (store, owner, to) = (&app.store, owner.as_deref(), filter.to);
    let read = |place: Position, limit| async move {
        // What is newer than asked for need not be walked through.
        let place = match to {
            Some(to) if to < place.at => Position { at: to, id: String::new() },
            _ => place,
        };
        store.audit_after(owner, &place, limit).await
    };
    let select = |entry: AuditEntry| {
        let seen = match caller.holder() {
            Some(Holder { user, .. }) if !user.admin => entry.seen_by(&user.id),
            _ => entry,
        };
        filter.matches(&seen).then(|| Entry::from(seen))
    };
    Ok(reply::json(&fill(&app, "audit", &query.paging()?, read, select).await?))
}
