//! Owns opening the configuration, the master key and the database, and which command may create them. The one place
//! that reads the environment and the key file.

use std::{
    env, fs,
    io::{Write, stderr},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::{Global, files};
use crate::{
    app::App,
    config::Config,
    engine::master::MasterKey,
    model::{
        audit::{Act, Origin},
        clock::{Clock, Timestamp},
        error::Error,
    },
    store::{Bounds, Store},
};

/// Maximum number of other databases named when the configured one is missing.
const FOUND_MAX: usize = 3;

/// A database opened for one command.
#[derive(Debug)]
pub struct Opened {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// When the command started.
    pub now: Timestamp,
}

/// The configuration with the command line's options applied.
pub fn config(global: &Global, overrides: &[(&'static str, Option<String>)]) -> Result<Config, Error> {
    let mut all = vec![("database", global.database.clone()), ("issuer", global.issuer.clone())];
    all.extend(overrides.iter().cloned());
    let given: Vec<(&str, String)> = all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::load(global.config.as_deref(), variables, &given).map_err(|error| Error::invalid_request(error.to_string()))
}

/// The remote server that the environment names.
pub fn server() -> Option<String> {
    env::var("GRANTD_SERVER").ok().filter(|server| !server.is_empty())
}

/// Opens the database for one command. It must exist and be up to date.
pub async fn store(global: &Global) -> Result<Opened, Error> {
    let opened = store_as_it_is(global).await?;
    must_be_current(&opened.store).await?;
    Ok(opened)
}

/// Opens the database for a command that works with every schema.
pub async fn store_as_it_is(global: &Global) -> Result<Opened, Error> {
    let config = config(global, &[])?;
    must_exist(&config)?;
    tell(&config);
    let store = Store::open_as_it_is(config.database.expose(), Bounds::from(&config.limits)).await?;
    Ok(Opened { config, store, now: Clock::system().now() })
}

/// Opens everything for one command. Only `serve`, `demo` and `create` commands may create a database, and only `serve` and
/// `demo` migrate an older one: older servers may still run on it.
pub async fn command(global: &Global) -> Result<App, Error> {
    let config = config(global, &[])?;
    if !config.is_embedded() || config.database.file().is_some_and(holds_data) {
        must_be_current(&Store::look(config.database.expose()).await?).await?;
    }
    let app = if global.creates { app_or_new(config).await? } else { app(config).await? };
    tell(&app.config);
    Ok(app)
}

/// Opens everything, as the server does, on a database that must exist.
pub async fn app(config: Config) -> Result<App, Error> {
    must_exist(&config)?;
    app_or_new(config).await
}

/// Opens everything, and creates an embedded database with its key file if it is missing.
pub async fn app_or_new(mut config: Config) -> Result<App, Error> {
    let Some(file) = config.database.file().map(Path::to_owned) else {
        let master = master_key(&config)?;
        return App::new(config, master, Clock::system()).await;
    };
    let key_file = key_file(&file);
    let configured = parse_key(&config.master_key)?;
    if configured.is_none() && !holds_data(&file) && key_file.exists() {
        return Err(half_there(&file, &key_file));
    }
    let mut created = false;
    let store = Store::open_with(config.database.expose(), Bounds::from(&config.limits), |is_empty| {
        let key = match (&configured, is_empty) {
            (Some(key), _) => key.clone(),
            (None, _) if key_file.exists() => return Err(half_there(&file, &key_file)),
            (None, false) => return Err(lost(&key_file)),
            (None, true) => {
                created = true;
                create_key(&key_file)?
            }
        };
        key.fingerprint().map(Some)
    });
    let store = store.await?;
    if created {
        config.warnings.push(format!(
            "created {}: the database cannot be read without it; keep a copy separate from the database",
            key_file.display()
        ));
    }
    if files::is_open(&file) {
        config.warnings.push(format!("other users can read {0}; run chmod 600 {0}", file.display()));
    }
    let master = master_key(&config)?;
    App::on(store, config, master, Clock::system()).await
}

/// Shows warnings at the terminal that a server would log.
fn tell(config: &Config) {
    for warning in &config.warnings {
        // Nothing can be done if standard error is closed.
        drop(writeln!(stderr(), "grantd: warning: {warning}"));
    }
}

/// The act of a command, for the audit log.
pub fn act(now: Timestamp) -> Act {
    Act { now, origin: origin() }
}

/// The origin of a command, for the audit log.
pub fn origin() -> Origin {
    Origin { actor: "cli".to_owned(), ..Origin::default() }
}

/// The master key of an opened database: configured, or from the file next to an embedded one. Includes the other
/// configured one.
pub fn master_key(config: &Config) -> Result<MasterKey, Error> {
    Ok(own_key(config)?.beside(parse_key(&config.other_master_key)?))
}

fn own_key(config: &Config) -> Result<MasterKey, Error> {
    if let Some(key) = parse_key(&config.master_key)? {
        return Ok(key);
    }
    let Some(file) = config.database.file().map(key_file) else {
        return Err(Error::invalid_request(
            "master_key is required with PostgreSQL, the same on every node; `openssl rand -base64 32` generates one",
        ));
    };
    MasterKey::parse(&files::read(&file)?.ok_or_else(|| lost(&file))?)
}

fn parse_key(configured: &SecretString) -> Result<Option<MasterKey>, Error> {
    let configured = configured.expose_secret();
    (!configured.is_empty()).then(|| MasterKey::parse(configured)).transpose()
}

fn key_file(database: &Path) -> PathBuf {
    PathBuf::from(format!("{}.key", database.display()))
}

fn create_key(file: &Path) -> Result<MasterKey, Error> {
    let key = MasterKey::generate();
    match files::create(file, &key.text())? {
        true => Ok(key),
        false => Err(Error::invalid_request(format!("another process created {}; try again", file.display()))),
    }
}

fn lost(key_file: &Path) -> Error {
    let name = key_file.display();
    Error::invalid_request(format!("{name} is missing: restore the key file this database was created with"))
}

/// A key file without its database is not a fresh start: the data is elsewhere, or was copied without its log.
fn half_there(file: &Path, key_file: &Path) -> Error {
    let (file, key_file) = (file.display(), key_file.display());
    Error::invalid_request(format!(
        "{key_file} exists, but {file} has no data: restore the whole database (`grantd backup` makes complete \
         copies; a copied file of a running server may lack the newest data); to start over, remove {key_file} and {file}*"
    ))
}

fn holds_data(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|about| about.len() > 0)
}

/// Refuses a database with an older schema. An empty one has no version.
async fn must_be_current(store: &Store) -> Result<(), Error> {
    let schema = store.schema().await?;
    if schema.version == 0 || schema.missing == 0 {
        return Ok(());
    }
    Err(Error::invalid_request(format!(
        "the database has schema {}, this program needs {}: take a backup (`grantd backup FILE`, or pg_dump), stop the \
         old servers, and run `grantd serve` to migrate it",
        schema.version, schema.newest_known
    )))
}

/// Refuses a missing database, and names others in that directory.
pub fn must_exist(config: &Config) -> Result<(), Error> {
    let Some(file) = config.database.file().filter(|file| !holds_data(file)) else { return Ok(()) };
    let folder = file.parent().unwrap_or(Path::new(""));
    let listed = fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let others = listed.into_iter().flatten().filter_map(|entry| Some(folder.join(entry.ok()?.file_name())));
    let is_database =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "db") && path != file && holds_data(path);
    let mut others: Vec<String> = others.filter(is_database).map(|path| path.display().to_string()).collect();
    others.sort();
    others.truncate(FOUND_MAX);
    Err(Error::invalid_request(match others.first() {
        Some(first) => {
            format!("no database at {} (found {}: add --database sqlite:{first})", file.display(), others.join(", "))
        }
        None => format!("no database at {}; `grantd serve` or `grantd user create` creates one", file.display()),
    }))
}
