//! Owns the operations that endpoints share: verify, mint, sign, limit, import, and the rules for clients and keys.
//! Includes decisions that more than one kind of endpoint needs. Excludes axum (`http`) and SQL (`store`); each part is
//! constructed from only what it needs.

mod accepted;
pub mod admin_read;
pub mod apis;
pub mod attenuation;
pub mod authn;
pub mod background;
pub mod batch;
pub mod catalog;
pub mod census;
pub mod client_rules;
pub mod clients;
pub mod consent;
pub mod cursors;
pub mod denials;
pub mod event_counts;
pub mod grant_limit;
pub mod grant_token;
pub mod http_client;
pub mod idempotency;
pub mod import;
pub mod interactions;
pub mod keys;
pub mod leaks;
pub mod limit;
pub mod mail;
pub mod master;
pub mod mint;
pub mod new_key;
pub mod new_password;
pub mod password;
pub mod plans;
pub mod profiles;
pub mod projects;
pub mod read_token;
mod remote_keys;
pub mod rule_import;
pub mod rules;
pub mod sessions;
pub mod signing;
pub mod usage;
pub mod users;
pub mod verify;
pub mod verify_meters;

use self::{catalog::CatalogCache, event_counts::EventCounts, limit::Limiter, password::Passwords, signing::Signing};
use crate::{
    config::Config,
    model::error::Error,
    store::{Store, StoredResponse},
};

/// The dependencies of operations that a page, the management API, a command or the demo may call.
#[derive(Clone, Copy, Debug)]
pub struct Engine<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The database.
    pub store: &'a Store,
    /// The APIs and scopes.
    pub catalog: &'a CatalogCache,
    /// The signing keys.
    pub signing: &'a Signing,
    /// Hashes passwords.
    pub passwords: &'a Passwords,
    /// Counts failed attempts.
    pub limiter: &'a Limiter,
    /// Counts frequent events.
    pub event_counts: &'a EventCounts,
}

/// What an operation stores in its own transaction: the response to a request that may be retried.
pub type Along = Result<Option<StoredResponse>, Error>;

/// Stores nothing in addition.
pub fn alone<T>(_: &T) -> Along {
    Ok(None)
}
