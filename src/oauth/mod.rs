//! Owns the protocol endpoints. Each file: the handler on top, its own decisions below.

pub mod authorize;
mod grant;
pub mod introspect;
pub mod metadata;
pub mod revoke;
pub mod token;
