//! Owns sign-in as a sequence of steps: what a user still has to do for a purpose. A further method is a file here and a
//! variant of [`Step`]. Does not write sessions; see `store::sessions`.

mod password;

pub use self::password::{PasswordAttempt, PasswordCheck};
use crate::{
    model::{authentication::Authenticated, authorize_request::AuthorizeRequest, clock::Timestamp},
    store::Interaction,
};

/// A sign-in this recent is enough for sensitive changes, in milliseconds.
const RECENT_MS: i64 = 10 * 60 * 1000;

/// What a user signs in for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// To use the pages.
    Pages,
    /// To make a sensitive change (ASVS 7.5).
    SensitiveChange,
    /// To answer an app's request, which may have been kept before.
    Authorize(&'a AuthorizeRequest, Option<&'a Interaction>),
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub enum Step<'s> {
    /// The password; see [`PasswordAttempt`].
    Password,
    /// Nothing: the session is enough.
    Done(&'s Authenticated),
}

/// The next step towards a sign-in that is enough for `purpose`, from this session.
pub fn next_step<'s>(now: Timestamp, purpose: Purpose<'_>, session: Option<&'s Authenticated>) -> Step<'s> {
    let is_enough = |at: Timestamp| match purpose {
        Purpose::Pages => true,
        Purpose::SensitiveChange => now.0.saturating_sub(at.0) <= RECENT_MS,
        Purpose::Authorize(request, kept) => !asks_again(now, at, request, kept),
    };
    session.filter(|who| is_enough(who.at)).map_or(Step::Password, Step::Done)
}

/// Whether a request requires another sign-in than the one at `auth_time`: that is too old or the app requests another
/// (`prompt=login`, OIDC Core §3.1.2.1), and none was completed since the request began.
fn asks_again(now: Timestamp, auth_time: Timestamp, request: &AuthorizeRequest, kept: Option<&Interaction>) -> bool {
    let done_for_this = kept.is_some_and(|kept| kept.signed_in_at.is_some() && auth_time >= kept.created_at);
    let is_old = request.max_age_seconds.is_some_and(|seconds| seconds == 0 || auth_time.plus_seconds(seconds) < now);
    (request.prompt.login || is_old) && !done_for_this
}
