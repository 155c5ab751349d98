//! Owns the verbs that endpoints share. No axum and no SQL: parts are built from the few things they need.

pub mod answers;
pub mod apikey;
pub mod apis;
pub mod catalog;
pub mod claims;
pub mod client_rules;
pub mod clients;
pub mod denials;
pub mod follow;
pub mod grant_token;
pub mod hand_on;
pub mod import;
pub mod leaks;
pub mod limit;
pub mod mail;
pub mod master;
pub mod mint;
pub mod new_password;
pub mod outgoing;
pub mod password;
pub mod sessions;
pub mod signing;
pub mod tally;
pub mod usage;
pub mod verify;
