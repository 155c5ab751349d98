//! Owns the nouns: values that are always valid once parsed. What belongs here: types, their grammars, and pure
//! functions of values. Not here: I/O, and any reading of the clock except in `clock`.

pub mod access_token;
pub mod api;
pub mod audit;
pub mod authentication;
pub mod authorize_request;
pub mod client;
pub mod clock;
pub mod denial;
pub mod email;
pub mod error;
pub mod grant;
pub mod key;
pub mod management_api;
pub mod network;
pub mod params;
pub mod path;
pub mod pkce;
pub mod plan;
pub mod policy;
pub mod principal;
pub mod profile;
pub mod project;
pub mod reason;
pub mod redirect_uri;
pub mod resource;
pub mod rule;
pub mod rule_diff;
pub mod rules;
pub mod scope;
pub mod secret;
pub mod span;
pub mod text;
pub mod usage;
pub mod user;
mod words;

pub(crate) use words::words;
