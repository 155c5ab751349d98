//! Owns the `projects` table. Does not store keys; see `keys`.

use std::collections::HashMap;

use super::{
    Error, Store,
    row::{Read, Row, binds, column, record},
    tx::transaction,
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::Error as ModelError,
        key::KeyForm,
        policy::PROJECTS_MAX,
        project::{DisabledBy, KeyTerms, KeyTermsChange, Project},
    },
};

record! {
    project_columns: Project {
        id: "id", user_id: "user_id", name: "name", key_form: "key_form", one_live_key: "one_live_key",
        key_terms: "key_prefix, key_environments, key_seconds", plan: "plan", disabled_by: "disabled_by",
        created_at: "created_at",
    }
}
pub(super) use project_columns;
impl Read for KeyTerms {
    fn read(row: &mut Row) -> Result<Self, Error> {
        let (prefix, environments, expires_in) = Read::read(row)?;
        Ok(Self { prefix, environments, expires_in })
    }
}
column!(DisabledBy, DisabledBy::parse, "who disabled a project");

const FIND: &str = concat!("SELECT ", project_columns!(), " FROM projects WHERE id = $1");
const OF_USER: &str =
    concat!("SELECT ", project_columns!(), " FROM projects WHERE user_id = $1 ORDER BY name LIMIT $2");
/// Locks a project's row until the commit and reads it, so that concurrent changes do not overwrite each other.
const LOCK: &str = concat!("UPDATE projects SET name = name WHERE id = $1 RETURNING ", project_columns!());

/// Keys of one user that are counted: the newest that belong to projects.
const KEYS_COUNTED: i64 = 20_000;
const KEY_COUNTS: &str = "
    SELECT project_id, SUM(CASE WHEN revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) THEN 1 ELSE 0 END),
           MAX(last_used_at)
    FROM (SELECT project_id, revoked_at, expires_at, last_used_at FROM api_keys
          WHERE user_id = $1 AND project_id IS NOT NULL ORDER BY created_at DESC, id DESC LIMIT $3) AS keys
    GROUP BY project_id";

/// Summary of a project's keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProjectKeys {
    /// Number of live keys.
    pub live: i64,
    /// When any of them was last used.
    pub last_used_at: Option<Timestamp>,
}

/// Changes to a project; `None` leaves a field unchanged.
#[derive(Clone, Debug, Default)]
pub struct ProjectChanges {
    /// Its name.
    pub name: Option<String>,
    /// The form of keys created from now on.
    pub key_form: Option<KeyForm>,
    /// Whether it may have only one live key at a time, from now on.
    pub one_live_key: Option<bool>,
    /// Other properties of keys created from now on.
    pub key_terms: KeyTermsChange,
    /// Its own plan, or none.
    pub plan: Option<Option<String>>,
    /// Whether all of its keys are rejected.
    pub disabled: Option<bool>,
    /// Whether an administrator makes the change. The owner cannot enable what an administrator disabled.
    pub by_operator: bool,
}

impl Store {
    /// Stores a new project. A name that the user has already is a conflict.
    pub async fn insert_project(&self, now: Timestamp, origin: Origin, project: Project) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            tx.check_user(&project.user_id).await?;
            let count: i64 =
                tx.one("SELECT COUNT(*) FROM projects WHERE user_id = $1", binds![&project.user_id]).await?;
            if count >= PROJECTS_MAX {
                let words = format!("a user can have at most {PROJECTS_MAX} projects");
                return Err(ModelError::invalid_request(words).into());
            }
            tx.check_plan(project.plan.as_deref()).await?;
            tx.execute(
                "INSERT INTO projects (id, user_id, name, key_form, one_live_key, key_prefix, key_environments,
                     key_seconds, plan, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                binds![
                    &project.id,
                    &project.user_id,
                    &project.name,
                    project.key_form.as_str(),
                    project.one_live_key,
                    &project.key_terms.prefix,
                    &project.key_terms.environments.join(" "),
                    project.key_terms.expires_in,
                    &project.plan,
                    now
                ],
            )
            .await?;
            tx.audit(now, &origin, Event::new("project.create").user(&project.user_id).object(&project.id)).await
        })
    }

    /// Changes a project; returns false if there is none. It applies to its keys at once. A name that the user has
    /// already is a conflict.
    pub async fn update_project(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        changes: ProjectChanges,
    ) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            let Some(old) = tx.find::<Project>(LOCK, binds![&id]).await? else { return Ok(false) };
            tx.check_plan(changes.plan.as_ref().and_then(Option::as_deref)).await?;
            let disabled_by = disabled_by(&old, &changes)?;
            let terms = old.key_terms.with(changes.key_terms);
            tx.execute(
                "UPDATE projects SET name = $2, key_form = $3, one_live_key = $4, plan = $5, disabled_by = $6,
                     key_prefix = $7, key_environments = $8, key_seconds = $9
                 WHERE id = $1",
                binds![
                    &id,
                    &changes.name.unwrap_or(old.name),
                    changes.key_form.unwrap_or(old.key_form).as_str(),
                    changes.one_live_key.unwrap_or(old.one_live_key),
                    &changes.plan.unwrap_or(old.plan),
                    disabled_by.map(DisabledBy::as_str),
                    &terms.prefix,
                    &terms.environments.join(" "),
                    terms.expires_in,
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
    }

    /// The project with this id.
    pub async fn find_project(&self, id: &str) -> Result<Option<Project>, Error> {
        self.find(FIND, binds![id]).await
    }

    /// The number of live keys and the last use per project of a user, over the user's newest 20,000 keys.
    pub async fn count_project_keys(
        &self,
        now: Timestamp,
        user_id: &str,
    ) -> Result<HashMap<String, ProjectKeys>, Error> {
        let rows: Vec<(String, i64, Option<Timestamp>)> =
            self.list(KEY_COUNTS, binds![user_id, now, KEYS_COUNTED]).await?;
        Ok(rows.into_iter().map(|(id, live, last_used_at)| (id, ProjectKeys { live, last_used_at })).collect())
    }

    /// Names of a user's keys and projects with these ids, by id.
    pub async fn names(&self, user_id: &str, ids: &[&str]) -> Result<HashMap<String, String>, Error> {
        const KEYS: &str = "SELECT k.id, k.name FROM api_keys k JOIN (VALUES ($1, $2)) AS v ON k.id = v.column1
                            WHERE k.user_id = v.column2";
        const PROJECTS: &str = "SELECT p.id, p.name FROM projects p JOIN (VALUES ($1, $2)) AS v ON p.id = v.column1
                                WHERE p.user_id = v.column2";
        let mut names = HashMap::new();
        for (prefix, sql) in [("key_", KEYS), ("project_", PROJECTS)] {
            let of: Vec<_> =
                ids.iter().filter(|id| id.starts_with(prefix)).map(|id| binds![*id, user_id].to_vec()).collect();
            names.extend(self.list_each::<(String, String)>(sql, &of).await?);
        }
        Ok(names)
    }

    /// A user's projects sorted by name; at most 200.
    pub async fn list_projects(&self, user_id: &str) -> Result<Vec<Project>, Error> {
        self.list(OF_USER, binds![user_id, PROJECTS_MAX]).await
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
