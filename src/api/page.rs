//! Owns lists page by page: the query's filters, limit and cursor, and the page's shape. A page looks through a bounded
//! number of entries, so one with few matches may be short and still have a next.

use axum::http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::problem::Problem,
    model::{clock::Timestamp, error::Error, params::Params},
    store::{self, Listed, Position},
};

/// Entries of a page, unless the query says otherwise.
const LIMIT: usize = 20;
/// Most entries of a page.
const LIMIT_MAX: usize = 100;
/// Entries read at once, and how often, to fill a page whose filter lets few through.
const READ: i64 = 500;
const READS_MAX: usize = 10;

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

/// The parameters of a list's query, each at most once and none unknown.
#[derive(Debug)]
pub struct Query<'u>(Params<'u>);

impl<'u> Query<'u> {
    /// Reads a query that may have these names.
    ///
    /// # Errors
    /// `invalid_request` naming what is wrong.
    pub fn parse(uri: &'u Uri, names: &[&str]) -> Result<Self, Error> {
        let params = Params::form(uri.query().unwrap_or_default().as_bytes())?.without_nul()?;
        params.refuse_duplicates(&[])?;
        if params.pairs().any(|(name, _)| !names.contains(&name)) {
            return Err(Error::invalid_request(format!("unknown query parameter; allowed: {}", names.join(", "))));
        }
        Ok(Self(params))
    }

    /// A value; absent and empty are the same.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    /// A value that is one of these.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn one_of(&self, name: &str, of: &[&str]) -> Result<Option<&str>, Error> {
        match self.get(name) {
            Some(value) if !of.contains(&value) => {
                Err(Error::invalid_request(format!("{name} is one of: {}", of.join(", "))))
            }
            value => Ok(value),
        }
    }

    /// A moment.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let wrong = || Error::invalid_request(format!("{name} is a moment such as 2026-11-21T00:00:00Z"));
        // More digits than the last second of the year 9999 has cannot be written as a date again.
        let is_one = |text: &&str| text.len() <= 12 || !text.bytes().all(|b| b.is_ascii_digit());
        let read = |text: &str| Timestamp::read(text).filter(|at| at.0 >= 0);
        self.get(name).map(|text| Some(text).filter(is_one).and_then(read).ok_or_else(wrong)).transpose()
    }

    /// Which page.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn paging(&self) -> Result<Paging, Error> {
        let wrong = || Error::invalid_request(format!("limit is 1 to {LIMIT_MAX}"));
        let limit = match self.get("limit") {
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
            None => LIMIT,
        };
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(wrong());
        }
        Ok(Paging { limit, cursor: self.get("cursor").map(ToOwned::to_owned) })
    }
}

/// Fills a page of the list called `name`: reads on after the cursor until there are enough entries that `select` lets through,
/// or enough were looked at.
///
/// # Errors
/// `invalid_request` for an invalid cursor, `temporarily_unavailable`.
pub async fn fill<T, U, F>(
    app: &App,
    name: &'static str,
    paging: &Paging,
    read: impl Fn(Position, i64) -> F,
    mut select: impl FnMut(T) -> Option<U>,
) -> Result<Page<U>, Problem>
where
    F: Future<Output = Result<Vec<Listed<T>>, store::Error>>,
{
    let wrong = || Error::invalid_request("invalid cursor");
    let mut place = match &paging.cursor {
        Some(cursor) => app.cursors.place(name, cursor).ok_or_else(wrong)?,
        None => Position::start(),
    };
    let mut items = Vec::new();
    for _ in 0..READS_MAX {
        let entries = read(place.clone(), READ.min(i64::try_from(paging.limit).unwrap_or(READ) * 2 + 1)).await?;
        let mut rest = entries.into_iter().peekable();
        if rest.peek().is_none() {
            return Ok(Page { items, next: None });
        }
        while let Some(Listed { position, value }) = rest.next() {
            place = position;
            items.extend(select(value));
            if items.len() == paging.limit {
                // Only another read shows whether there is more.
                let is_last = rest.peek().is_none() && read(place.clone(), 1).await?.is_empty();
                return Ok(Page { items, next: (!is_last).then(|| app.cursors.cursor(name, &place)) });
            }
        }
    }
    Ok(Page { items, next: Some(app.cursors.cursor(name, &place)) })
}

/// A page of a list that is held whole, in the order of `id`.
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
    let wrong = || Error::invalid_request("invalid cursor");
    let after = paging.cursor.as_ref().map(|cursor| app.cursors.place(name, cursor).ok_or_else(wrong)).transpose()?;
    all.sort_by_key(&id);
    all.retain(|item| after.as_ref().is_none_or(|after| id(item) > after.id));
    let more = all.len() > paging.limit;
    all.truncate(paging.limit);
    let last = all.last().map(|item| Position { at: Timestamp(0), id: id(item) });
    Ok(Page { items: all, next: last.filter(|_| more).map(|place| app.cursors.cursor(name, &place)) })
}
