//! Owns what holds at the edge and everywhere: input, forwarded addresses, the audit log, time, secrets. Does not own any
//! one endpoint.

mod audit;
mod clock;
mod forwarded;
mod fuzz;
mod input;
mod process;
mod secrets;
mod story;
