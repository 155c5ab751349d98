//! Owns the pages of the OAuth clients that a user registered: list, form, one client, its secret. Not here: apps that
//! a user gave access to (`web::connected`) and the rules for clients (`engine::client_rules`).

pub mod detail;
pub mod form;
pub mod list;
pub mod secret;
