//! Owns lists page by page: limit and cursor, and the page's shape. A page is short only where the list ends, or a search has
//! looked at very many entries; it is never empty with a next.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::problem::Problem,
    model::{clock::Timestamp, error::Error},
    store::{self, Found, Position},
};

/// One page of a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Cursor of the next page; null after the last one. A page may have fewer items than requested and still a next.
    #[schema(format = "cursor")]
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many, 1 to 100
    #[param(required = false, minimum = 1, maximum = 100, default = 20)]
    pub limit: usize,
    /// `next` of the page before
    #[param(required = false, value_type = String, format = "cursor")]
    pub cursor: Option<String>,
}

/// A page of the list called `name`: what `read` finds from a position on.
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
    // One more than asked for says that there is a next page.
    if entries.len() > paging.limit {
        entries.truncate(paging.limit);
        more = entries.last().map(|last| last.position.clone());
    }
    let next = more.map(|position| app.cursors.cursor(name, &position));
    Ok(Page { items: entries.into_iter().map(|entry| entry.value).map(show).collect(), next })
}

/// The position that a page begins after, where it has a cursor.
fn start(app: &App, name: &'static str, paging: &Paging) -> Result<Option<Position>, Error> {
    let wrong = || Error::invalid_request("invalid cursor");
    paging.cursor.as_ref().map(|cursor| app.cursors.place(name, cursor).ok_or_else(wrong)).transpose()
}

/// A page of a list that is held whole, in the order of `id`.
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
