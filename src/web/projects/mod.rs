//! Owns the pages of projects. Their keys are listed and created as in `web::keys`.

pub mod detail;
pub mod form;
pub mod list;
