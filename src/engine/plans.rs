//! Owns operations on plans, for any actor: create or change. Does not count requests; see `limit`.

use super::Engine;
use crate::{
    model::{audit::Act, error::Error as ModelError, plan::Plan, text},
    store::Error,
};

/// Creates or changes a plan. Its limits apply on this node at once, on others within a second.
pub async fn set(engine: Engine<'_>, Act { now, origin }: Act, plan: Plan) -> Result<Plan, Error> {
    let plan = Plan { name: text::name("the plan", &plan.name)?, ..plan };
    if plan.burst == 0 {
        return Err(ModelError::invalid_request("burst must be at least 1").into());
    }
    engine.store.set_plan(now, origin, plan.clone()).await?;
    engine.catalog.reload().await?;
    Ok(plan)
}
