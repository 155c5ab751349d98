//! Owns the pages for people: each handler reads its request, decides, and shows a page of `view`. Does not call an
//! endpoint: sign-in and consent lead back to `/oauth/authorize`, which decides again from what is stored.

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
pub mod own_app;
pub mod own_key;
pub mod own_project;
pub mod projects;
pub mod reference;
pub mod security;
pub mod sign_ins;

mod events;
mod format;
mod key_form;
mod key_page;
mod reauth;
mod request;
