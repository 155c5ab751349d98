//! Owns `grantd doctor` and `grantd backup`. Opens like the server, so an empty place gets its database and keys.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Global, open, output};
use crate::model::error::Error;

/// Copy the embedded database while it is in use
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to make; it must not exist
    file: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        opened.store.backup(&self.file)?;
        output::one(
            global,
            &[("backup", json!(self.file.display().to_string())), ("note", json!("keep the master key apart from it"))],
        )
    }
}

/// Opens everything as the server would and says what it found.
pub async fn run(global: &Global) -> Result<(), Error> {
    let config = open::config(global, &[])?;
    let engine = if config.is_embedded() { "SQLite" } else { "PostgreSQL" };
    let (issuer, embedded) = (config.issuer.clone(), config.is_embedded());
    let app = open::app(config).await?;
    let users = app.store.list_users(1000).await?;
    let catalog = app.catalog.current();
    let mut advice = Vec::new();
    if users.is_empty() {
        advice.push("no users: grantd user create --email you@example.com --admin");
    }
    if catalog.apis.is_empty() {
        advice.push("no APIs: grantd api create --identifier https://api.example.com --name 'My API' --scope read='Read your data'");
    }
    if issuer.starts_with("http:") {
        advice.push("the issuer is http on loopback: set it to the https URL people will use");
    }
    if app.limiter.is_shared() == Some(false) {
        advice.push("limits.shared cannot be reached: each node does what limits.shared_failure says");
    }
    if embedded {
        advice.push("keep grantd.db.key apart from backups of the database");
    }
    output::one(
        global,
        &[
            ("issuer", json!(issuer)),
            ("database", json!(engine)),
            ("users", json!(users.len())),
            ("administrators", json!(users.iter().filter(|user| user.admin).count())),
            ("apis", json!(catalog.apis.len())),
            ("shared_limits", json!(app.limiter.is_shared().map(|is| if is { "reached" } else { "not reached" }))),
            ("signing_keys", json!(app.signing.list().len())),
            ("advice", json!(advice)),
        ],
    )
}
