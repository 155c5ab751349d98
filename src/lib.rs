//! grantd, an OAuth 2.0 authorization server with first-class API keys.
//!
//! The path of a request: [`router`] lists every route. Around each stands `http::layers::edge` (id, sender, time limit,
//! headers, log). A handler in [`oauth`], [`api`] or [`web`] reads its request once through [`http`] into types of [`model`]
//! that cannot be wrong, asks [`engine`] (`verify`: credential → principal; `mint`: the one place tokens are made), which
//! asks [`store`], where all the SQL is, one text for SQLite and PostgreSQL. [`cache`] knows when an answer may be reused:
//! every change that matters is appended to the changes feed in its own transaction, and each node follows it.
//! [`app`] builds all parts once. Imports go only downward in this list:

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
