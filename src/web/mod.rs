//! Owns the pages for people: a page is one file with its handler and what its template shows, and `templates/`
//! mirrors these files by name. Rules that the management API shares belong in `engine`, pieces that pages share in `ui`.
//! No page calls an endpoint: sign-in and consent lead back to `/oauth/authorize`, which decides again from what is stored.

pub mod activity;
pub mod apps;
pub mod assets;
pub mod callback;
pub mod connected;
pub mod consent;
pub mod denied;
pub mod keys;
pub mod leaked;
pub mod login;
pub mod login_meter;
pub mod projects;
pub mod reference;
pub mod security;

mod events;
mod format;
mod reauth;
mod request;
