//! Owns the verbs that endpoints share: verify, mint, sign, limit, import, and the rules for clients and keys. What belongs
//! here: decisions that more than one kind of endpoint needs. Not here: axum (`http`) and SQL (`store`); each part is built
//! from the few things it needs.

mod accepted;
pub mod apikey;
pub mod apis;
pub mod attenuation;
pub mod background;
pub mod catalog;
pub mod census;
pub mod claims;
pub mod client_rules;
pub mod clients;
pub mod cursors;
pub mod denials;
pub mod event_counts;
pub mod grant_token;
pub mod http_client;
pub mod idempotency;
pub mod import;
pub mod interactions;
pub mod leaks;
pub mod limit;
pub mod mail;
pub mod master;
pub mod mint;
pub mod new_password;
pub mod password;
pub mod sessions;
pub mod signing;
pub mod usage;
pub mod verify;
pub mod verify_meters;
