//! Owns what tests stand on: a server in process, the people and programs that use it, the flows they walk.

pub mod app;
pub mod browser;
pub mod database;
pub mod flow;
pub mod reply;

pub use self::{
    app::{ISSUER, OAuthClient, TestApp},
    browser::Browser,
    reply::Reply,
};
