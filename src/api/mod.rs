//! Owns what a holder of a credential asks about itself. Every answer starts at `engine::verify`.

pub mod leaks;
pub mod me;
