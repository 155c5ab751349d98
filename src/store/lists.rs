//! Owns paginated lists, newest first. A condition with an index is the list's scope; the others are filters on the
//! rows read, one bounded window at a time.

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
use crate::model::{
    client::Client,
    clock::Timestamp,
    denial::DenialRecord,
    error::Error as ModelError,
    key::{ApiKey, KeyStatus},
    project::Project,
    user::User,
};

/// Rows examined by one statement: in the first window, which is nearly always enough, and in later ones.
const FIRST_WINDOW: i64 = 500;
const WINDOW: i64 = 5000;
/// Most windows per page. If no row in them matches, the search is refused as too broad.
const WINDOWS_MAX: usize = 200;

/// A position in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When the entry was created.
    pub at: Timestamp,
    /// Its id, since several entries may have the same time.
    pub id: String,
}

impl Position {
    /// Before all entries.
    #[must_use]
    pub fn start() -> Self {
        Self::at(Timestamp(i64::MAX))
    }

    /// After all entries of this time.
    fn at(at: Timestamp) -> Self {
        Self { at, id: String::new() }
    }
}

/// An entry and its position.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// Its position.
    pub position: Position,
    /// The entry.
    pub value: T,
}

/// One page of results.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// The entries, newest first.
    pub entries: Vec<Listed<T>>,
    /// Where to continue if the search stopped before the page was full. `entries` then has at least one entry.
    pub more: Option<Position>,
}

/// Filter for keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyFilter<'f> {
    /// Owned by this user.
    pub user: Option<&'f str>,
    /// In this project.
    pub project: Option<&'f str>,
    /// For this environment.
    pub environment: Option<&'f str>,
    /// With this status.
    pub status: Option<KeyStatus>,
}

/// Filter for refusals.
#[derive(Clone, Copy, Debug, Default)]
pub struct DenialFilter<'f> {
    /// For credentials of this user.
    pub user: Option<&'f str>,
    /// For this key.
    pub key: Option<&'f str>,
    /// For the API with this slug.
    pub api: Option<&'f str>,
}

/// Filter for audit entries.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter<'f> {
    /// Concerning this user.
    pub user: Option<&'f str>,
    /// Concerning this client.
    pub client: Option<&'f str>,
    /// Concerning this object.
    pub object: Option<&'f str>,
    /// This event, or all events with this prefix if it ends with a dot.
    pub event: Option<&'f str>,
    /// `ok` or `denied`.
    pub outcome: Option<&'f str>,
    /// At or after this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

/// The two statements of a list: its entries from `$1`, `$2` back to `$3`, `$5`, and the end of a window of `$5` rows.
/// `$4` is the scope's value; `$7` and later are the filters' values.
struct List {
    entries: &'static str,
    window: &'static str,
}

macro_rules! list {
    ($columns:expr, $table:literal, $at:literal, $scope:literal, $filters:literal) => {
        List {
            entries: concat!(
                "SELECT ",
                $columns,
                ", ",
                $at,
                ", id FROM ",
                $table,
                " WHERE ",
                $scope,
                " AND ",
                $filters,
                " AND (",
                $at,
                ", id) < ($1, $2) AND ",
                $at,
                " >= $3 AND (",
                $at,
                " > $3 OR id >= $5) ORDER BY ",
                $at,
                " DESC, id DESC LIMIT $6"
            ),
            window: concat!(
                "SELECT ",
                $at,
                ", id FROM ",
                $table,
                " WHERE ",
                $scope,
                " AND (",
                $at,
                ", id) < ($1, $2) AND ",
                $at,
                " >= $3 ORDER BY ",
                $at,
                " DESC, id DESC LIMIT 1 OFFSET $5"
            ),
        }
    };
}

/// A list with the same filters in each of its scopes. Without a value for any scope, the whole list is read.
macro_rules! scopes {
    ($columns:expr, $table:literal, $at:literal, $filters:literal, [$($scope:literal),*]) => {
        [list!($columns, $table, $at, "$4 IS NULL", $filters) $(, list!($columns, $table, $at, $scope, $filters))*]
    };
}

const KEYS: [List; 3] = scopes!(
    key_columns!(),
    "api_keys k",
    "created_at",
    "($7 IS NULL OR user_id = $7) AND ($8 IS NULL OR environment = $8)
     AND ($9 IS NULL OR $9 = CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
                                  WHEN expires_at <= $10 THEN 'expired' ELSE 'active' END)",
    ["user_id = $4", "project_id = $4"]
);
const PROJECTS: [List; 2] =
    scopes!(project_columns!(), "projects", "created_at", "($7 IS NULL OR id = $7)", ["user_id = $4"]);
const CLIENTS: [List; 2] = scopes!(client_columns!(), "clients c", "created_at", "TRUE", ["owner_id = $4"]);
const USERS: [List; 1] = scopes!(user_columns!(), "users u", "created_at", "($7 IS NULL OR plan = $7)", []);
const DENIALS: [List; 3] = scopes!(
    denial_columns!(),
    "denials",
    "at",
    "($7 IS NULL OR user_id = $7) AND ($8 IS NULL OR api = $8)",
    ["user_id = $4", "key_id = $4"]
);
const AUDIT: [List; 4] = scopes!(
    audit_columns!(),
    "audit",
    "at",
    "($7 IS NULL OR user_id = $7) AND ($8 IS NULL OR client_id = $8) AND ($9 IS NULL OR event = $9)
     AND ($10 IS NULL OR SUBSTR(event, 1, LENGTH($10)) = $10) AND ($11 IS NULL OR outcome = $11)",
    ["user_id = $4", "client_id = $4", "object = $4"]
);

impl Store {
    /// Keys after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Refused`] when very many rows were examined and none matched.
    pub async fn keys_after(
        &self,
        now: Timestamp,
        filter: KeyFilter<'_>,
        after: Position,
        limit: usize,
    ) -> Result<Found<ApiKey>, Error> {
        let KeyFilter { user, project, environment, status } = filter;
        let scope = narrowest(&[user, project]);
        let filters = binds![user, environment, status.map(KeyStatus::as_str), now];
        self.search(&KEYS, scope, (after, None), limit, filters).await
    }

    /// Projects after `after`, at most `limit`; optionally only those of `user`, or only the project `only`.
    ///
    /// # Errors
    /// As [`Self::keys_after`].
    pub async fn projects_after(
        &self,
        user: Option<&str>,
        only: Option<&str>,
        after: Position,
        limit: usize,
    ) -> Result<Found<Project>, Error> {
        self.search(&PROJECTS, narrowest(&[user]), (after, None), limit, binds![only]).await
    }

    /// Clients after `after` without their secrets, at most `limit`; optionally only those of `user`.
    ///
    /// # Errors
    /// As [`Self::keys_after`].
    pub async fn clients_after(
        &self,
        user: Option<&str>,
        after: Position,
        limit: usize,
    ) -> Result<Found<Client>, Error> {
        self.search(&CLIENTS, narrowest(&[user]), (after, None), limit, &[]).await
    }

    /// Users after `after`, at most `limit`; optionally only those on `plan`.
    ///
    /// # Errors
    /// As [`Self::keys_after`].
    pub async fn users_after(&self, plan: Option<&str>, after: Position, limit: usize) -> Result<Found<User>, Error> {
        self.search(&USERS, narrowest(&[]), (after, None), limit, binds![plan]).await
    }

    /// Refused requests after `after`, at most `limit`.
    ///
    /// # Errors
    /// As [`Self::keys_after`].
    pub async fn denials_after(
        &self,
        filter: DenialFilter<'_>,
        after: Position,
        limit: usize,
    ) -> Result<Found<DenialRecord>, Error> {
        let DenialFilter { user, key, api } = filter;
        self.search(&DENIALS, narrowest(&[user, key]), (after, None), limit, binds![user, api]).await
    }

    /// Audit entries after `after`, at most `limit`.
    ///
    /// # Errors
    /// As [`Self::keys_after`].
    pub async fn audit_after(
        &self,
        filter: AuditFilter<'_>,
        after: Position,
        limit: usize,
    ) -> Result<Found<AuditEntry>, Error> {
        let AuditFilter { user, client, object, event, outcome, from, to } = filter;
        let after = to.map_or(after.clone(), |to| after.min(Position::at(to)));
        let (prefix, exact) = event.map_or((None, None), |event| match event.ends_with('.') {
            true => (Some(event), None),
            false => (None, Some(event)),
        });
        let filters = binds![user, client, exact, prefix, outcome];
        self.search(&AUDIT, narrowest(&[user, client, object]), (after, from), limit, filters).await
    }

    /// Reads the list in its scope, window by window, until the page is full or the list ends.
    async fn search<T: Read>(
        &self,
        lists: &[List],
        (list, scope): (usize, Option<&str>),
        (mut after, from): (Position, Option<Timestamp>),
        limit: usize,
        filters: &[Bind<'_>],
    ) -> Result<Found<T>, Error> {
        let list = &lists[list];
        let end = Position::at(from.unwrap_or(Timestamp(i64::MIN)));
        let mut entries = Vec::with_capacity(limit);
        for turn in 0..WINDOWS_MAX {
            let window = if turn == 0 { FIRST_WINDOW } else { WINDOW };
            let edge = self.find(list.window, binds![after.at, &after.id, end.at, scope, window]).await?;
            let edge: Option<Position> = edge.map(|(at, id)| Position { at, id });
            let until = edge.as_ref().unwrap_or(&end);
            let room = i64::try_from(limit - entries.len()).unwrap_or(i64::MAX);
            let mut values = binds![after.at, &after.id, until.at, scope, &until.id, room].to_vec();
            values.extend_from_slice(filters);
            let found: Vec<(T, Timestamp, String)> = self.list(list.entries, &values).await?;
            entries.extend(found.into_iter().map(|(value, at, id)| Listed { position: Position { at, id }, value }));
            match edge {
                Some(edge) if entries.len() < limit => after = edge,
                _ => return Ok(Found { entries, more: None }),
            }
            // On SQLite nothing above awaits: let other tasks run.
            tokio::task::yield_now().await;
        }
        if entries.is_empty() {
            let words = "none of the newest entries match, and there are too many to search; add a filter";
            return Err(ModelError::invalid_request(words).into());
        }
        Ok(Found { entries, more: Some(after) })
    }
}

/// The scope to read: the last one with a value, as its index in the list's statements, with that value.
fn narrowest<'s>(scopes: &[Option<&'s str>]) -> (usize, Option<&'s str>) {
    scopes.iter().rposition(Option::is_some).map_or((0, None), |at| (at + 1, scopes[at]))
}
