//! Owns `grantd plan`. Does not count; see `engine::limit`.

use axum::http::Method;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Global, admin::Admin, output};
use crate::model::error::Error;

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
        let admin = Admin::open(global).await?;
        if let Self::Set(set) = self {
            let path = format!("/plans/{}", utf8_percent_encode(&set.name, NON_ALPHANUMERIC));
            admin.send(Method::PUT, &path, &json!({ "per_hour": set.per_hour, "burst": set.burst })).await?;
        }
        let mut plans = admin.get("/plans").await?;
        let unlimited = |limit: Value| if limit.is_null() { json!("unlimited") } else { limit };
        let rows: Vec<_> = plans["items"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .map(|plan| vec![plan["name"].take(), unlimited(plan["per_hour"].take()), plan["burst"].take()])
            .collect();
        output::many(global, "plans", &["name", "per_hour", "burst"], &rows)
    }
}
