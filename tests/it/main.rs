//! Owns the integration tests: one binary, so that it links once. Modules only.

mod harness;

mod cli;
mod smoke;
mod web;
