//! Owns the `audit` table: append-only, each entry written in the transaction that it records.

use super::{
    Error, Store,
    row::{Bind, binds, record},
    tx::{Tx, transaction},
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
    /// Why it was denied; of a change with values, what they were before and after.
    pub reason: Option<String>,
    /// Peer address.
    pub address: String,
    /// Request identifier.
    pub request_id: String,
    /// Number of occurrences.
    pub times: i64,
}

record! {
    audit_columns: AuditEntry {
        at: "at", event: "event", actor: "actor", user_id: "user_id", client_id: "client_id", object: "object",
        outcome: "outcome", reason: "reason", address: "address", request_id: "request_id", times: "times",
    }
}
pub(super) use audit_columns;

/// The actor shown to a user for an administrator's action, in place of id, key and address.
const ADMINISTRATOR: &str = "an administrator";

impl AuditEntry {
    /// The entry as shown to the user it concerns. Actions by another user or from the command line are attributed to
    /// an administrator.
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
        self.execute(INSERT, &values(&entry_id(now), now, origin, &event)).await.map(drop)
    }

    /// Appends many entries.
    pub(super) async fn audit_each(&mut self, now: Timestamp, entries: &[(Origin, Event)]) -> Result<(), Error> {
        self.audited |= !entries.is_empty();
        let ids: Vec<String> = entries.iter().map(|_| entry_id(now)).collect();
        let rows = ids.iter().zip(entries).map(|(id, (origin, event))| values(id, now, origin, event));
        self.execute_each(INSERT, &rows.collect::<Vec<_>>()).await.map(drop)
    }
}

const INSERT: &str = concat!(
    "INSERT INTO audit (id, ",
    audit_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
);

/// The values of an entry in column order.
fn values<'e>(id: &'e String, now: Timestamp, origin: &'e Origin, event: &'e Event) -> Vec<Bind<'e>> {
    let outcome = if event.denied.is_some() { "denied" } else { "ok" };
    let Event { event: name, user_id, client_id, object, denied, change, times } = event;
    let Origin { actor, address, request_id } = origin;
    let (reason, times) = (denied.as_deref().or(change.as_deref()), *times.max(&1));
    binds![id, now, *name, actor, user_id, client_id, object, outcome, reason, address, request_id, times].to_vec()
}

/// An id that begins with the time, so that new entries go to the end of the index.
pub(super) fn entry_id(at: Timestamp) -> String {
    format!("{:012x}{}", at.0, secret::random_base62(10))
}

impl Store {
    /// Appends entries that belong to no other change, such as counted refusals.
    pub async fn audit(&self, now: Timestamp, entries: Vec<(Origin, Event)>) -> Result<(), Error> {
        transaction!(self, now, |tx| { tx.audit_each(now, &entries).await })
    }
}
