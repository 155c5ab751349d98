//! Owns `grantd signing-key`. Does not make keys; see `engine::signing`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, context, output};
use crate::model::{api::Algorithm, error::Error};

#[derive(Debug, Subcommand)]
pub enum SigningKeyCommand {
    /// List the keys that sign access tokens
    List,
    /// Announce a new key now; it takes over in an hour, and nothing that was signed ends
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// Of which algorithm: ES256, EdDSA or RS256
    #[arg(long, default_value = "ES256")]
    algorithm: String,
    /// The old keys are known to others: drop them, and with them every token they signed
    #[arg(long)]
    compromised: bool,
}

impl SigningKeyCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let app = context::command(global).await?;
        if let Self::Rotate(rotate) = self {
            let algorithm = Algorithm::parse(&rotate.algorithm)
                .ok_or_else(|| Error::invalid_request("--algorithm is ES256, EdDSA or RS256"))?;
            app.signing.rotate(app.clock.now(), context::origin(), algorithm, rotate.compromised).await?;
        }
        let rows: Vec<_> = app
            .signing
            .list()
            .into_iter()
            .map(|(kid, algorithm, made, signs)| {
                vec![json!(kid), json!(algorithm.as_str()), json!(made.rfc3339()), json!(signs.rfc3339())]
            })
            .collect();
        output::many(global, "signing_keys", &["kid", "algorithm", "created_at", "active_from"], &rows)
    }
}
