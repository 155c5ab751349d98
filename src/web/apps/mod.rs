//! Owns the pages of the OAuth clients that a user registered. The apps that a user allowed are on `web::connected`.

pub mod detail;
pub mod form;
pub mod list;
pub mod secret;
