//! Owns the `audit` table: append-only, each entry written in the transaction that it records.

use super::{
    Error, Store,
    row::{binds, record},
    tx::Tx,
};
use crate::model::{
    audit::{Event, Origin},
    clock::Timestamp,
    secret,
};

/// An entry as read from the database.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AuditEntry {
    /// Milliseconds since the epoch.
    pub at: Timestamp,
    /// Such as `code.redeem`.
    pub event: String,
    /// The actor.
    pub actor: String,
    /// The user concerned.
    pub user_id: Option<String>,
    /// The client concerned.
    pub client_id: Option<String>,
    /// The object concerned.
    pub object: Option<String>,
    /// `ok` or `denied`.
    pub outcome: String,
    /// Why it was denied.
    pub reason: Option<String>,
    /// Peer address.
    pub address: String,
    /// Request identifier.
    pub request_id: String,
    /// Number of occurrences.
    pub times: i64,
}

/// The actor shown to a user for an administrator's action, in place of id, key and address.
const ADMINISTRATOR: &str = "an administrator";

impl AuditEntry {
    /// The entry as shown to the user it concerns. Actions by another user or from the command line are attributed to
    /// an administrator.
    #[must_use]
    pub fn seen_by(mut self, user_id: &str) -> Self {
        let acting = self.actor.split(' ').next().unwrap_or_default();
        if acting == "cli" || acting.starts_with("user_") && acting != user_id {
            ADMINISTRATOR.clone_into(&mut self.actor);
            self.address.clear();
        }
        self
    }
}

impl Tx {
    /// Appends an entry. If that fails, the change is rolled back too.
    pub(super) async fn audit(&mut self, now: Timestamp, origin: &Origin, event: Event) -> Result<(), Error> {
        self.audited = true;
        let id = entry_id(now);
        let outcome = if event.denied.is_some() { "denied" } else { "ok" };
        self.execute(
            "INSERT INTO audit (id, at, event, actor, user_id, client_id, object, outcome, reason, address,
             request_id, times)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            binds![
                &id,
                now,
                event.event,
                &origin.actor,
                &event.user_id,
                &event.client_id,
                &event.object,
                outcome,
                event.denied.as_deref(),
                &origin.address,
                &origin.request_id,
                event.times.max(1),
            ],
        )
        .await
        .map(drop)
    }
}

/// An id that begins with the time, so that new entries go to the end of the index.
pub(super) fn entry_id(at: Timestamp) -> String {
    format!("{:012x}{}", at.0, secret::random_base62(10))
}

impl Store {
    /// Appends entries that belong to no other change, such as counted refusals.
    pub async fn audit(&self, now: Timestamp, entries: Vec<(Origin, Event)>) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                for (origin, event) in entries {
                    tx.audit(now, &origin, event).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

record! {
    audit_columns: AuditEntry {
        at: "at", event: "event", actor: "actor", user_id: "user_id", client_id: "client_id", object: "object",
        outcome: "outcome", reason: "reason", address: "address", request_id: "request_id", times: "times",
    }
}
pub(super) use audit_columns;
