//! Owns the process: parse the command line, run it, print the error.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use grantd::cli::{Cli, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(run(cli)).map_err(|error| describe(&error)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done if standard error is closed.
            drop(writeln!(std::io::stderr(), "grantd: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Words for the person at the terminal, who may see the cause.
fn describe(error: &grantd::model::error::Error) -> String {
    match &error.cause {
        Some(cause) => format!("{}: {cause}", error.description),
        None => error.description.to_string(),
    }
}
