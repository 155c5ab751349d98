//! Owns the pages of projects: list, form, one project. Not here: keys and their form (`web::keys`).

pub mod detail;
pub mod form;
pub mod list;
