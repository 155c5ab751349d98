//! Owns the edge kit that every endpoint uses: what comes in is checked here, what goes out is shaped here.

pub mod client_auth;
pub mod connections;
pub mod credential;
pub mod denials;
pub mod error;
pub mod extract;
pub mod gzip;
pub mod interaction;
pub mod json;
pub mod layers;
pub mod login_redirect;
pub mod nginx;
pub mod operator;
pub mod page;
pub mod problem;
pub mod reply;
pub mod session;
pub mod write_limit;
