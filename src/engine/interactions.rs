//! Owns finding the authorization request of a page, bound to its browser, and whether it requires another sign-in.

use crate::{
    model::{
        authorize_request::AuthorizeRequest,
        clock::Timestamp,
        error::{Error, ErrorCode},
        secret::Digest,
    },
    store::{Interaction, Store},
};

/// The pending request with this ID, if it began in the browser with this digest.
///
/// # Errors
/// `invalid_request` if it has ended, `forbidden` if it began in another browser, `temporarily_unavailable`.
pub async fn find(store: &Store, now: Timestamp, browser: Option<Digest>, id: &str) -> Result<Interaction, Error> {
    let ended = || Error::invalid_request("this sign-in has expired or was completed; start again from the app");
    let interaction = store.find_interaction(now, &Digest::of(id)).await?.ok_or_else(ended)?;
    if browser != Some(interaction.browser) {
        return Err(Error::new(
            ErrorCode::Forbidden,
            "this sign-in was started in another browser; start again from the app",
        ));
    }
    Ok(interaction)
}

/// Whether a request requires a sign-in: `auth_time`, the last one, is missing; or it is too old or the app requests
/// another (`prompt=login`, OIDC Core §3.1.2.1), and none was completed since the request began.
#[must_use]
pub fn must_sign_in(
    now: Timestamp,
    auth_time: Option<Timestamp>,
    request: &AuthorizeRequest,
    kept: Option<&Interaction>,
) -> bool {
    let Some(auth_time) = auth_time else { return true };
    let done_for_this = kept.is_some_and(|kept| kept.signed_in_at.is_some() && auth_time >= kept.created_at);
    let is_old = request.max_age_seconds.is_some_and(|seconds| seconds == 0 || auth_time.plus_seconds(seconds) < now);
    (request.prompt.login || is_old) && !done_for_this
}
