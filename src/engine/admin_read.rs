//! Owns the record of an administrator's look at other users' things.

use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::{
    model::audit::{Act, Event},
    store::{Error, Store},
};

/// Longest query filter that is recorded, in bytes: an email address, escaped for a URL.
const WHOSE_MAX: usize = 800;

/// Records a look at this path, with the user that the query names, if any. That is read as handlers read it, so that
/// no spelling hides it.
pub async fn record(store: &Store, Act { now, origin }: Act, path: &str, query: Option<&str>) -> Result<(), Error> {
    let asked = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut whose = asked.filter(|(name, value)| ["user", "email"].contains(&&**name) && value.len() <= WHOSE_MAX);
    let looked_at = match whose.next() {
        Some((name, value)) => format!("{path}?{name}={}", utf8_percent_encode(&value, CONTROLS)),
        None => path.to_owned(),
    };
    store.audit(now, vec![(origin, Event::new("admin.read").object(&looked_at))]).await
}
