//! Owns the protocol endpoints: authorize, token, introspect, revoke and metadata. Each file has its handler at the top
//! and its decisions below; each grant type is a file of `grant`. Not here: pages (`web`) and issuing tokens
//! (`engine::mint`).

pub mod authorize;
mod grant;
pub mod introspect;
pub mod metadata;
pub mod revoke;
pub mod token;
