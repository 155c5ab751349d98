//! Owns the `plans` table. Does not count requests; see `engine::limit`.

use super::{
    Error, Store,
    row::{binds, record},
    tx::{Tx, transaction},
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::Error as ModelError,
        plan::{Plan, Plans},
    },
};

record! {
    plan_columns: Plan { name: "name", per_hour: "per_hour", burst: "burst" }
}

impl Tx {
    /// Refuses a plan that does not exist.
    pub(super) async fn check_plan(&mut self, plan: Option<&str>) -> Result<(), Error> {
        let Some(plan) = plan else { return Ok(()) };
        match self.find::<String>("SELECT name FROM plans WHERE name = $1", binds![plan]).await? {
            Some(_) => Ok(()),
            None => Err(ModelError::no_such("plan").into()),
        }
    }
}

impl Store {
    /// Every plan, smallest first.
    pub async fn plans(&self) -> Result<Plans, Error> {
        const ALL: &str = concat!("SELECT ", plan_columns!(), " FROM plans ORDER BY burst, name");
        self.list(ALL, &[]).await.map(Plans)
    }

    /// Creates or changes a plan; it applies to everyone on it within a second.
    pub async fn set_plan(&self, now: Timestamp, origin: Origin, plan: Plan) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            tx.execute(
                "INSERT INTO plans (name, per_hour, burst) VALUES ($1, $2, $3)
                 ON CONFLICT (name) DO UPDATE SET per_hour = excluded.per_hour, burst = excluded.burst",
                binds![&plan.name, plan.per_hour.map(i64::from), i64::from(plan.burst)],
            )
            .await?;
            tx.touch(EntityKind::Catalog, "");
            tx.audit(now, &origin, Event::new("plan.set").object(&plan.name)).await
        })
    }
}
