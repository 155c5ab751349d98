//! Owns what the command line must do, as the real binary. Modules only.

mod commands;
mod notice;
mod start;
mod upkeep;
