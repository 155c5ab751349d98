//! Owns the command line: its arguments and what each command does. A command opens the database directly, also while a
//! server runs, which sees changes within a second; with `--server` it uses a remote management API. What belongs here:
//! arguments, environment, files, terminal output. Not here: rules of keys, clients or users; a command sends requests.

mod admin;
mod api;
mod audit;
mod backup;
mod client;
mod context;
mod demo;
mod demo_env;
mod doctor;
mod files;
mod import;
mod key;
mod master_key;
mod output;
mod plan;
mod profile;
mod project;
mod revoke;
mod rules;
mod serve;
mod signing_key;
mod token;
mod user;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{config, model::error::Error, router};

/// An OAuth 2.0 authorization server with first-class API keys.
///
/// To try it, run `grantd demo`: an embedded database with example data, and commands to paste.
/// In production, run `grantd serve`; the commands below create users, APIs, clients and keys.
#[derive(Debug, Parser)]
#[command(name = "grantd", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that may stand before or after any command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Configuration file [default: grantd.toml, if it exists]
    #[arg(long, global = true, env = "GRANTD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database: sqlite:PATH or postgres://user:password@host/database
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// Public base URL of the server
    #[arg(long, global = true, value_name = "URL")]
    issuer: Option<String>,
    /// Run against a remote server, with the API key in GRANTD_API_KEY [env: GRANTD_SERVER]
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// Whether the command may create a missing database.
    #[arg(skip)]
    creates: bool,
    /// Print JSON with the management API's members; errors are {"error", "detail"} on standard error
    #[arg(long, global = true)]
    json: bool,
}

impl Cli {
    /// Whether a program reads the output.
    pub fn is_json(&self) -> bool {
        self.global.json
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server with example data: a user, an API, a client and keys in an embedded database
    Demo(demo::Demo),
    /// Run the server
    Serve(serve::Serve),
    /// Manage users, the people who sign in
    #[command(subcommand)]
    User(user::UserCommand),
    /// Manage the APIs you protect
    #[command(subcommand)]
    Api(api::ApiCommand),
    /// Manage profiles: where APIs accept credentials, and the format of their refusals
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    /// Manage OAuth clients
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Manage API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Manage projects, which group keys under one policy
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Manage rate-limit plans
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// Manage the keys that sign access tokens
    #[command(subcommand)]
    SigningKey(signing_key::SigningKeyCommand),
    /// Replace the master key, from which all other keys are derived
    #[command(subcommand)]
    MasterKey(master_key::MasterKeyCommand),
    /// Revoke access tokens, refresh tokens and API keys
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Revoke many credentials at once, such as after restoring a backup
    Revoke(revoke::Revoke),
    /// Show the audit log, newest first
    Audit(audit::Audit),
    /// Back up the embedded database while it is in use
    Backup(backup::Backup),
    /// Check everything the server depends on and say what to fix; exits with 1 if a check fails
    Doctor,
    /// Print every setting with its default and what it means
    Config,
    /// Print the OpenAPI 3.1 document of the management API
    Openapi,
}

impl Command {
    /// Whether it uses the management API, and so works against a remote server too.
    fn is_remote(&self) -> bool {
        match self {
            Self::User(command) => command.is_remote(),
            Self::Key(command) => command.is_remote(),
            Self::Audit(audit) => audit.is_remote(),
            Self::Api(_) | Self::Profile(_) | Self::Client(_) | Self::Project(_) | Self::Plan(_) => true,
            _ => false,
        }
    }

    /// Whether it may create the database. Any other command, run in the wrong directory, would report an empty database.
    fn creates(&self) -> bool {
        match self {
            Self::User(command) => matches!(command, user::UserCommand::Create(_)),
            Self::Api(command) => matches!(command, api::ApiCommand::Create(_)),
            Self::Client(command) => matches!(command, client::ClientCommand::Create(_)),
            Self::Key(command) => matches!(command, key::KeyCommand::Create(_)),
            Self::Project(command) => matches!(command, project::ProjectCommand::Create(_)),
            _ => false,
        }
    }
}

/// Runs a command.
pub async fn run(cli: Cli) -> Result<(), Error> {
    let mut global = cli.global;
    global.creates = cli.command.creates();
    // Unlike the flag, the variable is ignored for a command that opens the database, and next to --database.
    if cli.command.is_remote() && global.database.is_none() {
        global.server = global.server.or_else(context::server);
    }
    if global.server.is_some() && !cli.command.is_remote() {
        let message = "this command needs direct access to the database; run it on the server, without --server";
        return Err(Error::invalid_request(message));
    }
    let ran = match cli.command {
        Command::Demo(demo) => demo.run(&global).await,
        Command::Serve(serve) => serve.run(&global).await,
        Command::User(command) => command.run(&global).await,
        Command::Api(command) => command.run(&global).await,
        Command::Profile(command) => command.run(&global).await,
        Command::Client(command) => command.run(&global).await,
        Command::Key(command) => command.run(&global).await,
        Command::Project(command) => command.run(&global).await,
        Command::Plan(command) => command.run(&global).await,
        Command::SigningKey(command) => command.run(&global).await,
        Command::MasterKey(command) => command.run(&global).await,
        Command::Token(command) => command.run(&global).await,
        Command::Revoke(revoke) => revoke.run(&global).await,
        Command::Audit(audit) => audit.run(&global).await,
        Command::Backup(backup) => backup.run(&global).await,
        Command::Doctor => doctor::run(&global).await,
        Command::Config => output::text(config::DEFAULTS),
        Command::Openapi => {
            let config = context::config(&global, &[])?;
            output::line(&format!("{:#}", router::document(&config)))
        }
    };
    ran.map_err(admin::with_hint)
}
