//! Owns the integration tests: one binary, so that it links once. Modules only.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "what a failed test shows")]
#![expect(clippy::needless_pass_by_value, reason = "a test hands over what it is done with")]

mod harness;

mod api;
#[cfg(feature = "services")]
mod chromium;
mod cli;
mod credentials;
mod docs;
#[cfg(feature = "services")]
mod documents;
mod edge;
mod failures;
mod gateway;
mod import;
mod kills;
mod metrics;
#[cfg(feature = "services")]
mod nodes;
mod oauth;
mod oauth2_client;
mod profiles;
#[cfg(feature = "services")]
mod providers;
#[cfg(feature = "services")]
mod proxies;
mod races;
mod rules;
#[cfg(feature = "services")]
mod seed_snippets;
mod smoke;
mod snapshots;
mod store;
mod tidy;
mod tidy_circles;
mod tidy_language;
mod tidy_time;
mod web;
