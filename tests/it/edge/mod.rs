//! Owns what holds at the edge and everywhere: input, forwarded addresses, the audit log, time, secrets. Does not own any
//! one endpoint.

mod audience;
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
mod unheard;
