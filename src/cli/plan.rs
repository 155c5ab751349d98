//! Owns `grantd plan`. Does not count; see `engine::limit`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, open, output};
use crate::model::{error::Error, plan::Plan, text};

#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// List plans
    List,
    /// Make or change a plan
    Set(Set),
}

#[derive(Debug, Args)]
pub struct Set {
    /// Such as free, pro or enterprise
    name: String,
    /// Requests an hour, for one subject at one API; left out: unlimited
    #[arg(long)]
    per_hour: Option<u32>,
    /// Most requests within one second
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
}

impl PlanCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        if let Self::Set(set) = self {
            let plan = Plan { name: text::name("the plan", &set.name)?, per_hour: set.per_hour, burst: set.burst };
            opened.store.set_plan(opened.now, open::origin(), plan).await?;
        }
        let unlimited = |limit: Option<u32>| limit.map_or(json!("unlimited"), |limit| json!(limit));
        let rows: Vec<_> = opened
            .store
            .plans()
            .await?
            .0
            .into_iter()
            .map(|plan| vec![json!(plan.name), unlimited(plan.per_hour), json!(plan.burst)])
            .collect();
        output::many(global, "plans", &["name", "per_hour", "burst"], &rows)
    }
}
