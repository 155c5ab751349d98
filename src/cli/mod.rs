//! Owns the command line: what can be said and what each command does. A command works beside the database, also while a
//! server runs, which notices within a second; with `--server` it uses another server's management API. What belongs here:
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
mod output;
mod plan;
mod project;
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
/// Start with `grantd demo`: an embedded database with example data, and commands to paste.
/// For real: `grantd serve`, and beside it the commands below to make users, APIs, clients and keys.
#[derive(Debug, Parser)]
#[command(name = "grantd", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Said before or after any command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Configuration file [default: grantd.toml, if it exists]
    #[arg(long, global = true, env = "GRANTD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// sqlite:PATH or postgres://user:password@host/database
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// The URL by which everybody reaches this server
    #[arg(long, global = true, value_name = "URL")]
    issuer: Option<String>,
    /// Work at this server, by its management API, with the key in GRANTD_API_KEY [env: GRANTD_SERVER]
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// Whether the command may create a database where there is none.
    #[arg(skip)]
    creates: bool,
    /// Print JSON, for scripts: members are those of the management API; an error is {"error", "detail"} on standard error
    #[arg(long, global = true)]
    json: bool,
}

impl Cli {
    /// Whether a program reads what is said.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.global.json
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything: example user, API, client and key on an embedded database, served
    Demo(demo::Demo),
    /// Run the server
    Serve(serve::Serve),
    /// People who sign in
    #[command(subcommand)]
    User(user::UserCommand),
    /// APIs that ask this server about credentials
    #[command(subcommand)]
    Api(api::ApiCommand),
    /// Apps that use OAuth
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Containers of keys, with a policy
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// How much each tier may ask for
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// Keys that sign access tokens
    #[command(subcommand)]
    SigningKey(signing_key::SigningKeyCommand),
    /// Access and refresh tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// What happened, newest first
    Audit(audit::Audit),
    /// Copy the embedded database while it is in use
    Backup(backup::Backup),
    /// Check everything a server depends on: one line per check, and what to do. Exits 1 where a check fails
    Doctor,
    /// Print the configuration with its defaults and what each key means
    Config,
    /// Print the OpenAPI 3.1 document of the management API
    Openapi,
}

impl Command {
    /// Whether it goes by the management API, and so also at another server.
    fn is_remote(&self) -> bool {
        match self {
            Self::User(command) => command.is_remote(),
            Self::Key(command) => command.is_remote(),
            Self::Audit(audit) => audit.is_remote(),
            Self::Api(_) | Self::Client(_) | Self::Project(_) | Self::Plan(_) => true,
            _ => false,
        }
    }

    /// Whether it begins something, so that it may create the database too. Any other in the wrong directory would report
    /// an empty world.
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

/// Runs what was said.
///
/// # Errors
/// Whatever went wrong, in words for the person who typed it.
pub async fn run(cli: Cli) -> Result<(), Error> {
    let mut global = cli.global;
    global.creates = cli.command.creates();
    // Unlike the flag, the variable is no mistake beside a command that works at the database, or beside --database.
    if cli.command.is_remote() && global.database.is_none() {
        global.server = global.server.or_else(context::server);
    }
    if global.server.is_some() && !cli.command.is_remote() {
        let message = "this command needs direct access to the database; run it on the server, without --server";
        return Err(Error::invalid_request(message));
    }
    match cli.command {
        Command::Demo(demo) => demo.run(&global).await,
        Command::Serve(serve) => serve.run(&global).await,
        Command::User(command) => command.run(&global).await,
        Command::Api(command) => command.run(&global).await,
        Command::Client(command) => command.run(&global).await,
        Command::Key(command) => command.run(&global).await,
        Command::Project(command) => command.run(&global).await,
        Command::Plan(command) => command.run(&global).await,
        Command::SigningKey(command) => command.run(&global).await,
        Command::Token(command) => command.run(&global).await,
        Command::Audit(audit) => audit.run(&global).await,
        Command::Backup(backup) => backup.run(&global).await,
        Command::Doctor => doctor::run(&global).await,
        Command::Config => output::text(config::DEFAULTS),
        Command::Openapi => {
            let config = context::config(&global, &[])?;
            output::line(&format!("{:#}", router::document(&config)))
        }
    }
}
