//! Owns the integration tests: one binary, so that it links once. Modules only.

mod harness;

mod cli;
mod failures;
mod kills;
#[cfg(feature = "services")]
mod nodes;
mod oauth;
mod oauth2_client;
mod races;
#[cfg(feature = "services")]
mod seed_snippets;
mod smoke;
mod store;
mod tidy;
mod web;
