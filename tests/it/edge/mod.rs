//! Owns tests of the edge: input, forwarded addresses, the audit log, time, secrets. Single endpoints are tested
//! elsewhere.

mod audit;
mod clock;
mod connections;
mod forwarded;
mod fuzz;
mod hosts;
mod input;
mod methods;
mod nul;
mod process;
mod secrets;
mod story;
mod surface;
mod unheard;
