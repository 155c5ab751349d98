//! grantd, an OAuth 2.0 authorization server with first-class API keys.
//!
//! A request takes this path: [`router`] lists every route. `http::layers::edge` wraps each one (request id, client
//! address, time limit, headers, log). A handler in [`oauth`], [`api`] or [`web`] parses its request once through
//! [`http`] into validated types of [`model`]. It calls [`engine`] (`verify`: credential → principal; `mint`: the one
//! place where tokens are created), which calls [`store`]. All SQL is in [`store`], one text for SQLite and PostgreSQL.
//! [`cache`] decides when an answer may be reused: every relevant change is appended to the changes feed in its own
//! transaction, and each node reads that feed. [`app`] builds all parts once. Imports go only downward in this list:

pub mod cli;

pub mod router;

pub mod openapi;

pub mod api;
pub mod gateway;
pub mod oauth;
pub mod ops;
pub mod public;
pub mod web;

pub mod http;

pub mod app;
pub mod ui;

pub mod engine;

pub mod store;

pub mod cache;
pub mod config;
pub mod telemetry;

pub mod meters;
pub mod model;
