//! Owns what tests use: a server in process, the people and programs that use it, their flows; and the real
//! binary, for tests that need a process.

pub mod app;
pub mod browser;
#[cfg(feature = "services")]
pub mod callback;
pub mod captured;
#[cfg(feature = "services")]
pub mod chromium;
pub mod database;
#[cfg(feature = "services")]
pub mod document;
pub mod flow;
#[cfg(feature = "services")]
pub mod front;
pub mod mail;
pub mod prepare;
pub mod process;
#[cfg(feature = "services")]
pub mod proxy;
pub mod raw;
#[cfg(feature = "services")]
pub mod redis;
pub mod reply;
pub mod server;
#[cfg(feature = "services")]
pub mod shell;
#[cfg(feature = "services")]
pub mod upstream;
pub mod visitor;
pub mod wait;

pub use self::{
    app::{ISSUER, OAuthClient, TestApp},
    browser::Browser,
    captured::Captured,
    process::Installation,
    reply::Reply,
    visitor::Visitor,
};
