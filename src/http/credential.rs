//! Owns what stands between a stranger's credential and the store: of a sender who tried too many unknown ones, no more are
//! looked up for a while. Does not decide validity; see `engine::verify`.

use super::extract::RequestInfo;
use crate::{
    app::App,
    engine::{limit::Throttle, verify::Verified},
    model::{
        error::Error,
        principal::{Presentation, Reason, Rejection},
    },
};

/// What a credential stands for that its holder presents here.
///
/// # Errors
/// `temporarily_unavailable`; `too_many_requests` where this sender tried too many that are unknown. One that this node
/// accepted before passes all the same: nobody is kept out by what others behind the same address try.
pub async fn verify(
    app: &App,
    info: &RequestInfo,
    credential: &str,
    from: &Presentation<'_>,
) -> Result<Result<Verified, Rejection>, Error> {
    admit(app, info, credential)?;
    let found = app.verifier.verify(info.now, credential, from).await?;
    // What cannot be a key was refused without a look, and costs no more the next time.
    let is_miss = |denied: &Rejection| denied.reason == Reason::Unknown && app.verifier.may_be_api_key(credential);
    if found.as_ref().is_err_and(is_miss) {
        missed(app, info).await;
    }
    Ok(found)
}

/// Whether the store may be asked for a credential that may be a key.
///
/// # Errors
/// `too_many_requests`.
pub fn admit(app: &App, info: &RequestInfo, credential: &str) -> Result<(), Error> {
    match app.limiter.known_retry_after(info.now, guard(app), || info.network()) {
        Some(wait) if app.verifier.may_be_api_key(credential) && !app.verifier.has_accepted(credential) => {
            Err(Error::too_many(wait, "too many unknown credentials from this address; try again later"))
        }
        _ => Ok(()),
    }
}

/// Counts a lookup of an unknown key.
pub async fn missed(app: &App, info: &RequestInfo) {
    app.limiter.hit(info.now, guard(app), &info.network()).await;
}

fn guard(app: &App) -> Throttle {
    Throttle::credentials(app.config.limits.unknown_credentials_per_address)
}
