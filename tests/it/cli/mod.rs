//! Owns tests of the command line with the real binary. Modules only.

mod commands;
mod demo;
mod doctor;
mod log;
mod master_key;
mod notice;
mod place;
mod printed;
mod profiles;
mod remote;
mod restore;
mod rules;
mod settings;
mod start;
mod upgrade;
mod upkeep;
