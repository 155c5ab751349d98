//! Owns the pages for people: each handler reads its request, decides, and shows a page of `view`. Does not call an
//! endpoint: sign-in and consent lead back to `/oauth/authorize`, which decides again from what is stored.

pub mod apps;
pub mod assets;
pub mod callback;
pub mod connected;
pub mod consent;
pub mod keys;
pub mod leaked;
pub mod login;
pub mod own_app;

mod kit;
mod proof;
mod words;
