//! Owns the `projects` table. Does not hold keys; see `keys`.

use super::{
    Error, Store,
    row::{Row, binds},
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::Error as ModelError,
        key::KeyForm,
        project::{DisabledBy, Project},
    },
};

/// Most projects of one user, and most listed.
const PROJECTS_MAX: i64 = 200;

/// What of a project is changed; what is not here stays.
#[derive(Clone, Debug, Default)]
pub struct ProjectChanges {
    /// Its name.
    pub name: Option<String>,
    /// How keys made from now on look.
    pub key_form: Option<KeyForm>,
    /// Whether it has one live key at a time, from now on.
    pub one_live_key: Option<bool>,
    /// Its own plan, or none.
    pub plan: Option<Option<String>>,
    /// None of its keys are accepted.
    pub disabled: Option<bool>,
    /// An administrator changes it: what is disabled so, its owner cannot enable.
    pub by_operator: bool,
}

impl Store {
    /// Keeps a new project.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the user has one of this name, [`Error::Refused`] when the user has too many.
    pub async fn insert_project(&self, now: Timestamp, origin: Origin, project: Project) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                tx.check_user(&project.user_id).await?;
                let count = tx.row("SELECT COUNT(*) FROM projects WHERE user_id = $1", binds![&project.user_id]).await?;
                if count.ok_or(Error::Corrupt("a count"))?.int(0)? >= PROJECTS_MAX {
                    let message = format!("a user has at most {PROJECTS_MAX} projects");
                    return Err(ModelError::invalid_request(message).into());
                }
                tx.check_plan(project.plan.as_deref()).await?;
                tx.execute(
                    "INSERT INTO projects (id, user_id, name, key_form, one_live_key, plan, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    binds![
                        &project.id,
                        &project.user_id,
                        &project.name,
                        project.key_form.as_str(),
                        project.one_live_key,
                        &project.plan,
                        now
                    ],
                )
                .await?;
                tx.audit(now, &origin, Event::new("project.create").user(&project.user_id).object(&project.id)).await
            })
        })
        .await
    }

    /// Changes a project; false if there is none. What its keys answer changes at once.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the user has another of this name.
    pub async fn update_project(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        changes: ProjectChanges,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                // Locked before it is read: of two changes at once neither undoes the other.
                let found = tx
                    .row(
                        "UPDATE projects SET name = name WHERE id = $1
                         RETURNING id, user_id, name, key_form, one_live_key, plan, disabled_by, created_at",
                        binds![&id],
                    )
                    .await?;
                let Some(mut row) = found else { return Ok(false) };
                let old = project(&mut row)?;
                tx.check_plan(changes.plan.as_ref().and_then(Option::as_deref)).await?;
                let disabled_by = disabled_by(&old, &changes)?;
                tx.execute(
                    "UPDATE projects SET name = $2, key_form = $3, one_live_key = $4, plan = $5, disabled_by = $6 WHERE id = $1",
                    binds![
                        &id,
                        &changes.name.unwrap_or(old.name),
                        changes.key_form.unwrap_or(old.key_form).as_str(),
                        changes.one_live_key.unwrap_or(old.one_live_key),
                        &changes.plan.unwrap_or(old.plan),
                        disabled_by.map(DisabledBy::as_str),
                    ],
                )
                .await?;
                tx.touch(EntityKind::Project, id.as_str());
                let event = match changes.disabled {
                    Some(true) => "project.disable",
                    Some(false) => "project.enable",
                    None => "project.update",
                };
                tx.audit(now, &origin, Event::new(event).user(&old.user_id).object(&id)).await?;
                Ok(true)
            })
        })
        .await
    }

    /// The project with this id.
    pub async fn find_project(&self, id: &str) -> Result<Option<Project>, Error> {
        let row = self
            .row(
                "SELECT id, user_id, name, key_form, one_live_key, plan, disabled_by, created_at FROM projects WHERE id = $1",
                binds![id],
            )
            .await?;
        row.map(|mut row| project(&mut row)).transpose()
    }

    /// A user's projects by name; at most 200.
    pub async fn list_projects(&self, user_id: &str) -> Result<Vec<Project>, Error> {
        let rows = self
            .rows(
                "SELECT id, user_id, name, key_form, one_live_key, plan, disabled_by, created_at FROM projects
                 WHERE user_id = $1 ORDER BY name LIMIT $2",
                binds![user_id, PROJECTS_MAX],
            )
            .await?;
        rows.into_iter().map(|mut row| project(&mut row)).collect()
    }
}

/// Who has disabled the project after `changes`. An administrator overrides the owner.
fn disabled_by(old: &Project, changes: &ProjectChanges) -> Result<Option<DisabledBy>, Error> {
    let by_operator = changes.by_operator;
    match changes.disabled {
        None => Ok(old.disabled_by),
        Some(true) if by_operator => Ok(Some(DisabledBy::Administrator)),
        Some(true) => Ok(old.disabled_by.or(Some(DisabledBy::Owner))),
        Some(false) if !by_operator && old.disabled_by == Some(DisabledBy::Administrator) => {
            Err(ModelError::invalid_request("an administrator has disabled this project").into())
        }
        Some(false) => Ok(None),
    }
}

pub(super) fn project(row: &mut Row) -> Result<Project, Error> {
    Ok(Project {
        id: row.text(0)?,
        user_id: row.text(1)?,
        name: row.text(2)?,
        key_form: KeyForm::parse(&row.text(3)?).ok_or(Error::Corrupt("a key's form"))?,
        one_live_key: row.flag(4)?,
        plan: row.opt_text(5)?,
        disabled_by: match row.opt_text(6)? {
            Some(word) => Some(DisabledBy::parse(&word).ok_or(Error::Corrupt("who disabled a project"))?),
            None => None,
        },
        created_at: row.at(7)?,
    })
}
