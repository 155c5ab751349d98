//! Owns the management API below `/api/v1`: handlers parse JSON, call a verb of `engine` and render the result.
//! What belongs here: request and response bodies, authorization by scope, idempotency, paging. Not here: rules that pages
//! or the command line share (`engine`), the protocol (`oauth`), endpoints without the management API (`public`).

pub mod apis;
pub mod audit;
pub mod auth;
pub mod clients;
mod idempotency;
pub mod json;
pub mod keys;
pub mod needs;
mod page;
mod path;
pub mod plans;
pub mod profiles;
pub mod projects;
pub mod query;
pub mod usage;
pub mod users;
