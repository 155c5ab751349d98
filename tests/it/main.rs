//! Owns the integration tests: one binary, so that it links once. Modules only.

mod harness;

#[cfg(feature = "services")]
mod chromium;
mod cli;
#[cfg(feature = "services")]
mod readme;
mod smoke;
mod web;
