//! Owns what the command line must do, as the real binary. Modules only.

mod commands;
mod log;
mod notice;
mod printed;
mod remote;
mod rules;
mod start;
mod upkeep;
