//! Owns `/api/v1/plans`, for administrators.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    auth::{Admin, PlansRead, PlansWrite},
    json::{JsonBody, no_query},
    page::Page,
};
use crate::{
    app::App,
    engine::plans,
    http::{problem::Problem, reply},
    model::plan,
};

/// A rate-limit plan.
#[derive(Debug, serde::Serialize, ToSchema)]
pub struct Plan {
    /// Name, such as `free`
    #[schema(format = "name")]
    name: String,
    /// Requests per hour, for one subject at one API; null means unlimited
    #[schema(maximum = 4_294_967_295_u32, format = "count")]
    per_hour: Option<u32>,
    /// Maximum number of requests within one second
    #[schema(minimum = 1, maximum = 4_294_967_295_u32, format = "count")]
    burst: u32,
}

/// The new values of a plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPlan {
    /// Requests per hour, for one subject at one API; unlimited if left out
    #[schema(maximum = 4_294_967_295_u32, format = "count")]
    per_hour: Option<u32>,
    /// Maximum number of requests within one second, at least 1
    #[schema(minimum = 1, maximum = 4_294_967_295_u32, format = "count")]
    burst: u32,
}

impl From<plan::Plan> for Plan {
    fn from(plan::Plan { name, per_hour, burst }: plan::Plan) -> Self {
        Self { name, per_hour, burst }
    }
}

/// List plans, smallest first
#[utoipa::path(get, path = "/api/v1/plans", tag = "plans",
    responses((status = 200, body = Page<Plan>)))]
pub async fn list(State(app): State<Arc<App>>, Admin(..): Admin<PlansRead>, uri: Uri) -> Result<Response, Problem> {
    no_query(&uri)?;
    let items: Vec<Plan> = app.store.plans().await?.0.into_iter().map(Into::into).collect();
    Ok(reply::json(&Page { items, next: None }))
}

/// Create or change a plan
///
/// The new limits apply within a second.
#[utoipa::path(put, path = "/api/v1/plans/{name}", tag = "plans", params(("name" = String, Path, format = "name")), request_body = SetPlan,
    responses((status = 200, body = Plan)))]
pub async fn set(
    State(app): State<Arc<App>>,
    Admin(caller, ..): Admin<PlansWrite>,
    Path(name): Path<String>,
    JsonBody { value: sent, .. }: JsonBody<SetPlan>,
) -> Result<Response, Problem> {
    let plan = plan::Plan { name, per_hour: sent.per_hour, burst: sent.burst };
    Ok(reply::json(&Plan::from(plans::set(app.engine(), caller.act(), plan).await?)))
}
