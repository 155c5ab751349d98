//! Owns the edge that every endpoint uses: input is checked here, and output is formatted here. What belongs here:
//! reading requests, cookies, client authentication, errors, layers, connections. Not here: code that only one folder
//! of endpoints uses, which is in that folder.

pub mod client_auth;
pub mod connections;
pub mod credential;
mod csrf;
pub mod decision;
pub mod error;
pub mod extract;
pub mod gzip;
pub mod layers;
pub mod login_redirect;
pub mod management_access;
pub mod page;
pub mod problem;
pub mod reply;
pub mod session;
pub mod signed_in;
pub mod surface;
pub mod write_limit;
