//! Owns paging: limit, cursor and the shape of a page. A page is only short at the end of the list, or if a search
//! has looked at very many entries; it is never empty with a `next`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::problem::Problem,
    model::{clock::Timestamp, error::Error},
    store::{self, Found, Position},
};

/// Entries of a page by default.
pub(super) const LIMIT: usize = 20;
/// Most entries of a page.
pub(super) const LIMIT_MAX: usize = 100;

/// One page of a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Cursor of the next page; null on the last page. A page may have fewer items than requested and still a next
    #[schema(format = "cursor")]
    pub next: Option<String>,
}

/// The requested page of a list.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Number of entries, 1 to 100
    #[param(required = false, minimum = 1, maximum = 100, default = 20)]
    pub limit: usize,
    /// `next` of the previous page
    #[param(required = false, value_type = String, format = "cursor")]
    pub cursor: Option<String>,
}

/// A page of the list called `name`. `read` reads entries after a position.
///
/// # Errors
/// `invalid_request` for an invalid cursor, `temporarily_unavailable`.
pub async fn page<T, U, F>(
    app: &App,
    name: &'static str,
    paging: &Paging,
    read: impl FnOnce(Position, usize) -> F,
    show: impl FnMut(T) -> U,
) -> Result<Page<U>, Problem>
where
    F: Future<Output = Result<Found<T>, store::Error>>,
{
    let Found { mut entries, mut more } =
        read(start(app, name, paging)?.unwrap_or_else(Position::start), paging.limit + 1).await?;
    // One more than requested shows whether there is a next page.
    if entries.len() > paging.limit {
        entries.truncate(paging.limit);
        more = entries.last().map(|last| last.position.clone());
    }
    let next = more.map(|position| app.cursors.cursor(name, &position));
    Ok(Page { items: entries.into_iter().map(|entry| entry.value).map(show).collect(), next })
}

/// The position in the cursor, if there is one.
fn start(app: &App, name: &'static str, paging: &Paging) -> Result<Option<Position>, Error> {
    let wrong = || Error::invalid_request("invalid cursor");
    paging.cursor.as_ref().map(|cursor| app.cursors.place(name, cursor).ok_or_else(wrong)).transpose()
}

/// A page of a list that is in memory, in the order of `id`.
///
/// # Errors
/// `invalid_request` for an invalid cursor.
pub fn cut<T>(
    app: &App,
    name: &'static str,
    paging: &Paging,
    mut all: Vec<T>,
    id: impl Fn(&T) -> String,
) -> Result<Page<T>, Problem> {
    let after = start(app, name, paging)?;
    all.sort_by_key(&id);
    all.retain(|item| after.as_ref().is_none_or(|after| id(item) > after.id));
    let more = all.len() > paging.limit;
    all.truncate(paging.limit);
    let last = all.last().map(|item| Position { at: Timestamp(0), id: id(item) });
    Ok(Page { items: all, next: last.filter(|_| more).map(|place| app.cursors.cursor(name, &place)) })
}
