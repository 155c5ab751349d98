//! Owns `grantd master-key`. Does not derive or seal; see `engine::master`.

use clap::Subcommand;
use serde_json::json;

use super::{Global, context, output};
use crate::{app::check_master, engine::master::Purpose, model::error::Error};

#[derive(Debug, Subcommand)]
pub enum MasterKeyCommand {
    /// Make the configured key the database's, in place of the one in other_master_key; may be repeated
    Rotate,
}

impl MasterKeyCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = context::store(global).await?;
        let master = context::master_key(&opened.config)?;
        check_master(&opened.store, &master, opened.now).await?;
        let own = master.alone();
        let mut sealed = Vec::new();
        for key in opened.store.signing_keys().await? {
            if own.open(Purpose::SigningKeys, &key.kid, &key.sealed).is_err() {
                let private = master.open(Purpose::SigningKeys, &key.kid, &key.sealed)?;
                sealed.push((own.seal(Purpose::SigningKeys, &key.kid, &private)?, key));
            }
        }
        let count = sealed.len();
        opened.store.replace_master_key(opened.now, context::origin(), own.fingerprint()?, sealed).await?;
        output::one(global, &[("signing_keys", json!(count))])
    }
}
