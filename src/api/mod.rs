//! Owns the management API below `/api/v1` (JSON), and what a holder of a credential asks about itself. Every answer starts at
//! `engine::verify`.

pub mod auth;
mod hand_on;
pub mod keys;
pub mod leaks;
pub mod me;
mod once;
mod page;
mod path;
pub mod projects;
