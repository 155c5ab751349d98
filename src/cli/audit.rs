//! Owns `grantd audit`. Does not write entries; every change writes its own.

use clap::Args;
use serde_json::json;

use super::{Global, open, output};
use crate::model::error::Error;

/// What happened, newest first
#[derive(Debug, Args)]
pub struct Audit {
    /// How many entries
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
}

impl Audit {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let entries = open::store(global).await?.store.audit_entries(self.limit).await?;
        let rows: Vec<_> = entries
            .into_iter()
            .map(|entry| {
                let concerns = [entry.user_id, entry.client_id, entry.object].into_iter().flatten().collect::<Vec<_>>();
                vec![
                    json!(entry.at.rfc3339()),
                    json!(entry.event),
                    json!(entry.outcome),
                    json!(entry.actor),
                    json!(concerns),
                    json!(entry.reason),
                    json!(entry.address),
                    json!(entry.request_id),
                    json!(entry.times),
                ]
            })
            .collect();
        output::many(
            global,
            "audit",
            &["at", "event", "outcome", "actor", "concerns", "reason", "address", "request_id", "times"],
            &rows,
        )
    }
}
