//! Owns `grantd backup`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Global, context, output};
use crate::model::error::Error;

/// Back up the embedded database while it is in use
#[derive(Debug, Args)]
pub struct Backup {
    /// File to create; it must not exist
    file: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = context::store_as_it_is(global).await?;
        opened.store.backup(&self.file)?;
        // `grantd doctor` reports how old the newest backup is.
        opened.store.backed_up(opened.now).await?;
        output::one(
            global,
            &[("backup", json!(self.file.display().to_string())), ("note", json!("store the master key separately"))],
        )
    }
}
