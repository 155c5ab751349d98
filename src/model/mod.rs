//! Owns the nouns: values that cannot be wrong once parsed. Does no I/O and reads no clock but in `clock`.

pub mod api;
pub mod audit;
pub mod authorize_request;
pub mod client;
pub mod clock;
pub mod denial;
pub mod email;
pub mod error;
pub mod grant;
pub mod key;
pub mod network;
pub mod params;
pub mod pkce;
pub mod plan;
pub mod principal;
pub mod profile;
pub mod project;
pub mod redirect_uri;
pub mod reserved;
pub mod route;
pub mod scope;
pub mod secret;
pub mod text;
pub mod token_request;
pub mod usage;
pub mod user;
