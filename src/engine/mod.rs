//! Owns the verbs that endpoints share. No axum and no SQL: parts are built from the few things they need.

pub mod answers;
pub mod apikey;
pub mod apis;
pub mod catalog;
pub mod census;
pub mod checks;
pub mod claims;
pub mod clients;
pub mod denials;
pub mod follow;
pub mod grant_token;
pub mod import;
pub mod leaks;
pub mod limit;
pub mod mail;
pub mod master;
pub mod mint;
pub mod password;
pub mod sessions;
pub mod signing;
pub mod tally;
pub mod usage;
pub mod verify;
