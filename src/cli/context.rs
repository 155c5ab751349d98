//! Owns opening: configuration, master key, database; and which command may create them. The one place that reads the
//! environment and the key's file.

use std::{
    env, fs,
    io::{Write, stderr},
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;

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

/// Databases that are named where none was found.
const FOUND_MAX: usize = 3;

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

/// The server that the environment names for commands.
pub fn server() -> Option<String> {
    env::var("GRANTD_SERVER").ok().filter(|server| !server.is_empty())
}

/// Opens the database for one command, which must be there and up to date.
pub async fn store(global: &Global) -> Result<Opened, Error> {
    let opened = store_as_it_is(global).await?;
    must_be_current(&opened.store).await?;
    Ok(opened)
}

/// Opens the database for one command that works with every schema.
pub async fn store_as_it_is(global: &Global) -> Result<Opened, Error> {
    let config = config(global, &[])?;
    must_exist(&config)?;
    tell(&config);
    let store = Store::open_as_it_is(config.database.expose(), Bounds::from(&config.limits)).await?;
    Ok(Opened { config, store, now: Clock::system().now() })
}

/// Opens everything for one command. Only `serve`, `demo` and `create` commands may create a database, and only `serve` and
/// `demo` bring an older one up to date: servers of before may still run on it.
pub async fn command(global: &Global) -> Result<App, Error> {
    let config = config(global, &[])?;
    if !config.is_embedded() || config.database.file().is_some_and(holds_data) {
        must_be_current(&Store::look(config.database.expose()).await?).await?;
    }
    let app = if global.creates { app_or_new(config).await? } else { app(config).await? };
    tell(&app.config);
    Ok(app)
}

/// Opens everything, as the server does, on a database that must be there.
pub async fn app(config: Config) -> Result<App, Error> {
    must_exist(&config)?;
    app_or_new(config).await
}

/// Opens everything, and creates an embedded database with its key file where there is none.
pub async fn app_or_new(mut config: Config) -> Result<App, Error> {
    let Some(file) = config.database.file().map(Path::to_owned) else {
        let master = master_key(&config)?;
        return App::new(config, master, Clock::system()).await;
    };
    let key_file = key_file(&file);
    let configured = configured_key(&config)?;
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
            "created {}: without it the database cannot be read; keep a copy apart from the database",
            key_file.display()
        ));
    }
    if files::is_open(&file) {
        config.warnings.push(format!("{0} can be read by others: chmod 600 {0}", file.display()));
    }
    let master = master_key(&config)?;
    App::on(store, config, master, Clock::system()).await
}

/// Tells the person at the terminal what a server would log.
fn tell(config: &Config) {
    for warning in &config.warnings {
        // Nothing can be done if standard error is closed.
        drop(writeln!(stderr(), "grantd: warning: {warning}"));
    }
}

/// What a command does.
#[must_use]
pub fn act(now: Timestamp) -> Act {
    Act { now, origin: origin() }
}

/// Who acts on the command line, for the audit log.
#[must_use]
pub fn origin() -> Origin {
    Origin { actor: "cli".to_owned(), ..Origin::default() }
}

/// The master key of a database that was opened: configured, or from the file beside an embedded one.
pub fn master_key(config: &Config) -> Result<MasterKey, Error> {
    if let Some(key) = configured_key(config)? {
        return Ok(key);
    }
    let Some(file) = config.database.file().map(key_file) else {
        return Err(Error::invalid_request(
            "master_key: PostgreSQL needs one, alike on every node; `openssl rand -base64 32` makes one",
        ));
    };
    MasterKey::parse(&files::read(&file)?.ok_or_else(|| lost(&file))?)
}

fn configured_key(config: &Config) -> Result<Option<MasterKey>, Error> {
    let configured = config.master_key.expose_secret();
    (!configured.is_empty()).then(|| MasterKey::parse(configured)).transpose()
}

fn key_file(database: &Path) -> PathBuf {
    PathBuf::from(format!("{}.key", database.display()))
}

fn create_key(file: &Path) -> Result<MasterKey, Error> {
    let key = MasterKey::generate();
    match files::create(file, &key.text())? {
        true => Ok(key),
        false => Err(Error::invalid_request(format!("another process created {}: start again", file.display()))),
    }
}

fn lost(key_file: &Path) -> Error {
    let name = key_file.display();
    Error::invalid_request(format!("{name} is missing: put back the key file this database was created with"))
}

/// A key file without its database is no beginning: the data is elsewhere, or was copied without its log.
fn half_there(file: &Path, key_file: &Path) -> Error {
    let (file, key_file) = (file.display(), key_file.display());
    Error::invalid_request(format!(
        "{key_file} is there, but {file} holds no data: put the whole database back (`grantd backup` makes whole copies, a \
         copied file of a running server may lack the newest data); to begin anew, remove {key_file} and {file}*"
    ))
}

fn holds_data(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|about| about.len() > 0)
}

/// Refuses a database of an older version. An empty one has no version.
async fn must_be_current(store: &Store) -> Result<(), Error> {
    let schema = store.schema().await?;
    if schema.version == 0 || schema.missing == 0 {
        return Ok(());
    }
    Err(Error::invalid_request(format!(
        "the database is at schema {}, this program needs {}: take a copy (`grantd backup FILE`, or pg_dump), stop the old \
         servers, and let `grantd serve` bring it up to date",
        schema.version, schema.newest_known
    )))
}

/// Refuses to create a database in the wrong directory, and says where one is.
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
        None => format!("no database at {}: `grantd serve` or `grantd user create` creates one", file.display()),
    }))
}
