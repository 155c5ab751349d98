//! Owns the management API below `/api/v1` (JSON), and what a holder of a credential asks about itself. Every answer starts at
//! `engine::verify`.

pub mod apis;
pub mod audit;
pub mod auth;
pub mod clients;
mod idempotency;
pub mod json;
pub mod keys;
mod page;
mod path;
pub mod plans;
pub mod projects;
pub mod usage;
pub mod users;
