//! Owns the integration tests: one binary, so that it links once. Modules only.

mod harness;

mod oauth;
mod smoke;
mod web;
