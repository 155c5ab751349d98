//! Owns the pages for people. A page is one file with its handler and its template's data, and `templates/` mirrors
//! these files by name. Rules shared with the management API belong in `engine`, parts shared by pages in `ui`. No page
//! calls an endpoint: sign-in and consent lead back to `/oauth/authorize`, which decides again from stored data.

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
pub mod projects;
pub mod reference;
pub mod security;

mod events;
mod feedback;
mod format;
mod reauth;
mod request;
