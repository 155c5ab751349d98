//! Owns endpoints that need no scope of the management API: whether a credential is valid, and reports of leaked keys. The
//! protocol is in `oauth`, pages are in `web`.

pub mod leaks;
pub mod me;
