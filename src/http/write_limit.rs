//! Owns how often a user may make changes, on pages and through the management API alike: each change creates rows that
//! are kept for a long time.

use crate::{
    app::App,
    engine::limit::Throttle,
    model::{clock::Timestamp, error::Error},
};

/// Counts one change by this user, and by this key if there is one.
///
/// # Errors
/// `too_many_requests`.
pub async fn admit(app: &App, now: Timestamp, user_id: &str, key_id: Option<&str>) -> Result<(), Error> {
    let limits = &app.config.limits;
    // The key first: a runaway script then leaves its user part of the limit.
    let of_key = match key_id {
        Some(id) => app.limiter.hit(now, Throttle::writes_of_key(limits.writes_per_key), id).await,
        None => None,
    };
    if let Some(wait) = of_key {
        return Err(Error::too_many(wait, "too many changes with this key; try again in a minute"));
    }
    match app.limiter.hit(now, Throttle::writes_of_user(limits.writes_per_user), user_id).await {
        Some(wait) => Err(Error::too_many(wait, "too many changes; try again in a minute")),
        None => Ok(()),
    }
}
