//! Owns the mark of the operator at this machine's own command line. Does not come over the network: a request from there
//! brings headers and a body, and no extensions.

/// Whoever runs the command line beside the database, who may do everything that can be done there anyway.
#[derive(Clone, Copy, Debug)]
pub struct Operator;
