//! Owns the process: parses the command line, runs the command and prints the error.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use grantd::{
    cli::{Cli, run},
    model::error::Error,
};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let is_json = cli.is_json();
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::server)
        .and_then(|runtime| runtime.block_on(run(cli)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let message = describe(&error);
            let told = if is_json {
                json!({ "error": error.code.as_str(), "detail": message }).to_string()
            } else {
                format!("grantd: {message}")
            };
            // Nothing can be done if standard error is closed.
            drop(writeln!(std::io::stderr(), "{told}"));
            ExitCode::FAILURE
        }
    }
}

/// The message for the terminal, including the cause.
fn describe(error: &Error) -> String {
    match &error.cause {
        Some(cause) => format!("{}: {cause}", error.description),
        None => error.description.to_string(),
    }
}
