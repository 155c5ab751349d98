//! Owns `grantd signing-key`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, context, output};
use crate::model::{api::Algorithm, error::Error};

#[derive(Debug, Subcommand)]
pub enum SigningKeyCommand {
    /// List the keys that sign access tokens
    List,
    /// Publish a new key, which takes over in an hour; tokens already signed stay valid
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// Algorithm: ES256, EdDSA or RS256
    #[arg(long, default_value = "ES256")]
    algorithm: String,
    /// Remove the old keys immediately, which invalidates every token they signed
    #[arg(long)]
    compromised: bool,
}

impl SigningKeyCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let app = context::command(global).await?;
        if let Self::Rotate(rotate) = self {
            let algorithm = Algorithm::parse(&rotate.algorithm)
                .ok_or_else(|| Error::invalid_request("--algorithm must be ES256, EdDSA or RS256"))?;
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
