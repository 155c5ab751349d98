//! Owns opening: configuration, master key, database. The one place that reads the environment and the key's file.

use std::{
    env, fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;

use super::Global;
use crate::{
    app::App,
    config::Config,
    engine::master::MasterKey,
    model::{
        audit::Origin,
        clock::{Clock, Timestamp},
        error::Error,
    },
    store::Store,
};

/// A database opened for one command.
#[derive(Debug)]
pub struct Opened {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// When the command was run.
    pub now: Timestamp,
}

/// The configuration with the command line's words on top.
pub fn config(global: &Global, overrides: &[(&'static str, Option<String>)]) -> Result<Config, Error> {
    let mut all = vec![("database", global.database.clone()), ("issuer", global.issuer.clone())];
    all.extend(overrides.iter().cloned());
    let given: Vec<(&str, String)> = all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::load(global.config.as_deref(), variables, &given).map_err(|error| Error::invalid_request(error.to_string()))
}

/// Opens the database for one command.
pub async fn store(global: &Global) -> Result<Opened, Error> {
    let config = config(global, &[])?;
    let store = Store::open(&config.database).await?;
    Ok(Opened { config, store, now: Clock::system().now() })
}

/// Opens everything, as the server does.
pub async fn app(config: Config) -> Result<App, Error> {
    let master = master_key(&config)?;
    App::new(config, master, Clock::system()).await
}

/// Who acts on the command line, for the audit log.
#[must_use]
pub fn origin() -> Origin {
    Origin { actor: "cli".to_owned(), ..Origin::default() }
}

/// The master key: configured, or from the file beside an embedded database, which is made with the database.
pub fn master_key(config: &Config) -> Result<MasterKey, Error> {
    find_master_key(config, make)
}

/// The master key of a database that has one already.
pub fn known_master_key(config: &Config) -> Result<MasterKey, Error> {
    let missing = |file: &Path| {
        Error::invalid_request(format!("there is no master key: set GRANTD_MASTER_KEY, or bring {}", file.display()))
    };
    find_master_key(config, |file| Err(missing(file)))
}

fn find_master_key(
    config: &Config,
    otherwise: impl FnOnce(&Path) -> Result<MasterKey, Error>,
) -> Result<MasterKey, Error> {
    let configured = config.master_key.expose_secret();
    if !configured.is_empty() {
        return MasterKey::parse(configured);
    }
    if !config.is_embedded() {
        return Err(Error::invalid_request(
            "master_key: PostgreSQL needs one, alike on every node; `openssl rand -base64 32` makes one",
        ));
    }
    let database = PathBuf::from(config.database.trim_start_matches("sqlite:"));
    let file = PathBuf::from(format!("{}.key", database.display()));
    match fs::read_to_string(&file) {
        Ok(text) => {
            check_mode(&file)?;
            MasterKey::parse(&text)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => otherwise(&file),
        Err(error) => Err(Error::invalid_request(format!("cannot read {}: {error}", file.display()))),
    }
}

fn make(file: &Path) -> Result<MasterKey, Error> {
    let key = MasterKey::generate();
    // Written whole under another name first: a crash leaves no half key, and two starts agree on one.
    let draft = PathBuf::from(format!("{}.{}", file.display(), std::process::id()));
    let failed = |error: std::io::Error| Error::invalid_request(format!("cannot write {}: {error}", file.display()));
    let mut out =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(failed)?;
    out.write_all(key.text().as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    let linked = fs::hard_link(&draft, file);
    fs::remove_file(&draft).map_err(failed)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            MasterKey::parse(&fs::read_to_string(file).map_err(failed)?)
        }
        Err(error) => Err(failed(error)),
    }
}

/// A key that others can read is no secret.
fn check_mode(file: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(file).map_err(Error::server)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::invalid_request(format!("{} can be read by others: chmod 600 {0}", file.display())));
    }
    Ok(())
}
