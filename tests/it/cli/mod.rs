//! Owns what the command line must do, as the real binary. Modules only.

mod commands;
mod log;
mod notice;
mod remote;
mod rules;
mod start;
mod upkeep;
