//! Owns the `plans` table. Does not count requests; see `engine::limit`.

use super::{Error, Store, row::binds, tx::Tx};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::Error as ModelError,
        plan::{Plan, Plans},
    },
};

impl Tx {
    /// Refuses a plan that does not exist.
    pub(super) async fn check_plan(&mut self, plan: Option<&str>) -> Result<(), Error> {
        let Some(plan) = plan else { return Ok(()) };
        match self.row("SELECT name FROM plans WHERE name = $1", binds![plan]).await? {
            Some(_) => Ok(()),
            None => Err(ModelError::invalid_request("there is no such plan; `grantd plan list` shows them").into()),
        }
    }
}

impl Store {
    /// Every plan, smallest first.
    pub async fn plans(&self) -> Result<Plans, Error> {
        let rows = self.rows("SELECT name, per_hour, burst FROM plans ORDER BY burst, name", &[]).await?;
        let number = |number: i64| u32::try_from(number).map_err(|_| Error::Corrupt("a plan"));
        let plan = |mut row: super::Row| {
            Ok(Plan {
                name: row.text(0)?,
                per_hour: row.opt_int(1)?.map(number).transpose()?,
                burst: number(row.int(2)?)?,
            })
        };
        rows.into_iter().map(plan).collect::<Result<_, Error>>().map(Plans)
    }

    /// Makes or changes a plan; everybody on it is measured by it within a second.
    pub async fn set_plan(&self, now: Timestamp, origin: Origin, plan: Plan) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                tx.execute(
                    "INSERT INTO plans (name, per_hour, burst) VALUES ($1, $2, $3)
                     ON CONFLICT (name) DO UPDATE SET per_hour = excluded.per_hour, burst = excluded.burst",
                    binds![&plan.name, plan.per_hour.map(i64::from), i64::from(plan.burst)],
                )
                .await?;
                tx.touch(EntityKind::Catalog, "");
                tx.audit(now, &origin, Event::new("plan.set").object(&plan.name)).await
            })
        })
        .await
    }
}
