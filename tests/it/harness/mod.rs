//! Owns what tests stand on: a server in process, the people and programs that use it, the flows they walk; and the real
//! binary, for what only a process can show.

pub mod app;
pub mod browser;
pub mod captured;
pub mod database;
pub mod flow;
pub mod prepare;
pub mod process;
pub mod raw;
pub mod reply;
pub mod visitor;

pub use self::{
    app::{ISSUER, OAuthClient, TestApp},
    browser::Browser,
    captured::Captured,
    process::Installation,
    reply::Reply,
    visitor::Visitor,
};
