//! Owns the tests of rules in bulk: reading documents, replacing all rules of an API, and which rule decides.

mod command;
mod openapi;
mod refused;
mod replaced;
