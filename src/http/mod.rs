//! Owns the edge kit that every endpoint uses: what comes in is checked here, what goes out is shaped here.

pub mod client_auth;
pub mod connections;
pub mod credential;
pub mod error;
pub mod extract;
pub mod interaction;
pub mod json;
pub mod layers;
pub mod nginx;
pub mod operator;
pub mod packed;
pub mod page;
pub mod problem;
pub mod refused;
pub mod reply;
pub mod session;
pub mod sign_in_first;
pub mod writes;
