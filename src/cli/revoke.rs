//! Owns `grantd revoke`: many credentials at once. One alone is revoked by `key`, `token` or `client`.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Global, context, output};
use crate::{
    model::{clock::Timestamp, error::Error},
    store::Issued,
};

#[derive(Debug, Args)]
pub struct Revoke {
    /// What to revoke
    #[arg(required = true, value_name = "KIND")]
    kinds: Vec<Kind>,
    /// Only what was issued at this time or later, such as 2026-11-21T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    issued_since: Option<Timestamp>,
    /// Only what was issued before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    issued_before: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Everybody has to sign in again
    Sessions,
    /// The access of every app to every account, with its codes, access tokens and refresh tokens
    Grants,
    /// API keys
    Keys,
}

impl Revoke {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = context::store(global).await?;
        let since = self.issued_since.unwrap_or(Timestamp(i64::MIN));
        let until = self.issued_before.unwrap_or(Timestamp(i64::MAX));
        let mut revoked = Vec::new();
        // First what creates the others: a session allows apps and creates keys.
        for (kind, name, issued) in [
            (Kind::Sessions, "sessions", Issued::Sessions),
            (Kind::Grants, "grants", Issued::Grants),
            (Kind::Keys, "keys", Issued::Keys),
        ] {
            if self.kinds.contains(&kind) {
                let count = opened.store.revoke_issued(opened.now, context::origin(), issued, since, until).await?;
                revoked.push((name, json!(count)));
            }
        }
        output::one(global, &revoked)
    }
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::read(text).ok_or("a time is written such as 2026-11-21T08:00:00Z")
}
