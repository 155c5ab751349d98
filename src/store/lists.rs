//! Owns lists that are read page by page, newest first: of one user or of all. Each page is a bounded walk of an index. Does
//! not filter; see `api::page`.

use super::{
    AuditEntry, Error, Store,
    audit::audit_columns,
    clients::{client_columns, client_disabled_at},
    denials::denial_columns,
    keys::key_columns,
    projects::project_columns,
    row::{Bind, Read, binds},
    users::user_columns,
};
use crate::model::{client::Client, clock::Timestamp, denial::DenialRecord, key::ApiKey, project::Project, user::User};

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// When the entry was made.
    pub at: Timestamp,
    /// Its id: several may have been made at once.
    pub id: String,
}

impl Position {
    /// Before every entry.
    #[must_use]
    pub fn start() -> Self {
        Self { at: Timestamp(i64::MAX), id: String::new() }
    }
}

/// An entry and its place.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// Where it stands.
    pub position: Position,
    /// The entry.
    pub value: T,
}

/// The two statements of a list, of all and of one owner: with the condition on the owner in place, each walks an index.
macro_rules! list {
    ($columns:expr, $table:literal, $at:literal, $owner:literal) => {
        (
            concat!(
                "SELECT ",
                $columns,
                ", ",
                $at,
                ", id FROM ",
                $table,
                " WHERE (",
                $at,
                ", id) < ($1, $2) ORDER BY ",
                $at,
                " DESC, id DESC LIMIT $3"
            ),
            concat!(
                "SELECT ",
                $columns,
                ", ",
                $at,
                ", id FROM ",
                $table,
                " WHERE ",
                $owner,
                " = $4 AND (",
                $at,
                ", id) < ($1, $2) ORDER BY ",
                $at,
                " DESC, id DESC LIMIT $3"
            ),
        )
    };
}

type Statements = (&'static str, &'static str);

const KEYS: Statements = list!(key_columns!(), "api_keys k", "created_at", "user_id");
const PROJECTS: Statements = list!(project_columns!(), "projects", "created_at", "user_id");
const CLIENTS: Statements = list!(client_columns!(), "clients c", "created_at", "owner_id");
const USERS: Statements = list!(user_columns!(), "users u", "created_at", "id");
const DENIALS: Statements = list!(denial_columns!(), "denials", "at", "user_id");
const AUDIT: Statements = list!(audit_columns!(), "audit", "at", "user_id");

impl Store {
    /// Keys after `after`: of `owner`, or of everybody; at most `limit`.
    pub async fn keys_after(
        &self,
        owner: Option<&str>,
        after: &Position,
        limit: i64,
    ) -> Result<Vec<Listed<ApiKey>>, Error> {
        self.list_after(KEYS, owner, after, limit).await
    }

    /// Projects, as [`Self::keys_after`].
    pub async fn projects_after(
        &self,
        owner: Option<&str>,
        after: &Position,
        limit: i64,
    ) -> Result<Vec<Listed<Project>>, Error> {
        self.list_after(PROJECTS, owner, after, limit).await
    }

    /// Clients without their secrets, as [`Self::keys_after`].
    pub async fn clients_after(
        &self,
        owner: Option<&str>,
        after: &Position,
        limit: i64,
    ) -> Result<Vec<Listed<Client>>, Error> {
        self.list_after(CLIENTS, owner, after, limit).await
    }

    /// Users after `after`, at most `limit`.
    pub async fn users_after(&self, after: &Position, limit: i64) -> Result<Vec<Listed<User>>, Error> {
        self.list_after(USERS, None, after, limit).await
    }

    /// Refused requests, as [`Self::keys_after`].
    pub async fn denials_after(
        &self,
        owner: Option<&str>,
        after: &Position,
        limit: i64,
    ) -> Result<Vec<Listed<DenialRecord>>, Error> {
        self.list_after(DENIALS, owner, after, limit).await
    }

    /// Audit entries that concern `owner`, or all, as [`Self::keys_after`].
    pub async fn audit_after(
        &self,
        owner: Option<&str>,
        after: &Position,
        limit: i64,
    ) -> Result<Vec<Listed<AuditEntry>>, Error> {
        self.list_after(AUDIT, owner, after, limit).await
    }

    /// Reads one page.
    async fn list_after<T: Read>(
        &self,
        (all, owned): Statements,
        owner: Option<&str>,
        after: &Position,
        limit: i64,
    ) -> Result<Vec<Listed<T>>, Error> {
        let place: [Bind<'_>; 3] = [after.at.into(), (&after.id).into(), limit.into()];
        let rows: Vec<(T, Timestamp, String)> = match owner {
            Some(owner) => self.list(owned, binds![place[0], place[1], place[2], owner]).await?,
            None => self.list(all, &place).await?,
        };
        Ok(rows.into_iter().map(|(value, at, id)| Listed { position: Position { at, id }, value }).collect())
    }
}
