//! Owns `grantd plan`.

use axum::http::Method;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{
    Global,
    admin::{Admin, Listed},
    output,
};
use crate::model::error::Error;

#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// List plans
    List,
    /// Create or change a plan
    Set(Set),
}

#[derive(Debug, Args)]
pub struct Set {
    /// Name, such as free, pro or enterprise
    name: String,
    /// Requests per hour, for one subject at one API [default: unlimited]
    #[arg(long)]
    per_hour: Option<u32>,
    /// Maximum number of requests within one second
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
}

impl PlanCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        if let Self::Set(set) = self {
            let path = format!("/plans/{}", utf8_percent_encode(&set.name, NON_ALPHANUMERIC));
            admin.send(Method::PUT, &path, &json!({ "per_hour": set.per_hour, "burst": set.burst })).await?;
        }
        let mut plans = admin.get("/plans").await?;
        let mut items = plans["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        if !global.json {
            let unlimited = |plan: &&mut Value| plan["per_hour"].is_null();
            items.iter_mut().filter(unlimited).for_each(|plan| plan["per_hour"] = "unlimited".into());
        }
        output::list(global, "plans", &Listed { items, next: None }, &["name", "per_hour", "burst"])
    }
}
