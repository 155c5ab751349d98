//! Owns doing a thing once: a repeated request with the same `Idempotency-Key` gets the same answer, which was kept in the
//! transaction of what it tells. Twins that come at once wait for each other: one works, the other gets its answer. Does not
//! seal; see `engine::answers`.

use std::fmt;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::auth::Caller;
use crate::{
    app::App,
    engine::answers::{Asked, Before},
    http::{problem::Problem, reply},
    model::{
        clock::Timestamp,
        error::{Error, ErrorCode},
        secret::Digest,
    },
    store::{self, Store},
};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An answer, before it is sent. It may hold a key that is shown once.
pub struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Work that is done once.
#[derive(Debug)]
pub struct Work<'a> {
    app: &'a App,
    now: Timestamp,
    asked: Option<Asked>,
}

impl Answer {
    /// 201: something was made.
    ///
    /// # Errors
    /// `server_error`.
    pub fn created(value: &impl Serialize) -> Result<Self, Error> {
        Self::of(StatusCode::CREATED, value)
    }

    /// 200.
    ///
    /// # Errors
    /// `server_error`.
    pub fn done(value: &impl Serialize) -> Result<Self, Error> {
        Self::of(StatusCode::OK, value)
    }

    fn of(status: StatusCode, value: &impl Serialize) -> Result<Self, Error> {
        Ok(Self { status, body: serde_json::to_vec(value).map_err(Error::server)? })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = reply::json_bytes(self.body);
        *response.status_mut() = self.status;
        response
    }
}

impl<'a> Work<'a> {
    /// Begins; or the answer, where the same was asked before.
    ///
    /// # Errors
    /// `idempotency_mismatch`, `temporarily_unavailable`.
    pub async fn begin(
        app: &'a App,
        caller: &Caller,
        once: Option<(String, Digest)>,
    ) -> Result<Result<Self, Response>, Problem> {
        // The operator's command line runs once by itself.
        let asked = once.zip(caller.holder.as_ref()).map(|((name, request), holder)| {
            let principal = &holder.credential.value.principal;
            // A refreshed token is the same app; with other scopes it must not be shown what the wider one made.
            let actor = principal.grant_id.as_ref().unwrap_or(&principal.token_id).clone();
            let request = Digest::of(&format!("{} {}", request.text(), principal.scopes));
            Asked { actor, name, request }
        });
        let work = Self { app, now: caller.info.now, asked };
        match work.before().await? {
            Some(response) => Ok(Err(response)),
            None => Ok(Ok(work)),
        }
    }

    /// The store, whose next write also keeps `answer`.
    ///
    /// # Errors
    /// `server_error`.
    pub fn store(&self, answer: &Answer) -> Result<Store, Error> {
        let keep = |asked| self.app.answers.keep(self.now, asked, answer.status.as_u16(), &answer.body);
        Ok(self.app.store.answering(self.asked.as_ref().map(keep).transpose()?))
    }

    /// Sends the answer, if the work was done; else that of a twin which was quicker.
    ///
    /// # Errors
    /// Why the work was not done.
    pub async fn end(self, answer: Answer, done: Result<(), Problem>) -> Result<Response, Problem> {
        match done {
            Ok(()) => Ok(answer.into_response()),
            Err(problem) => self.before().await?.ok_or(problem),
        }
    }

    async fn before(&self) -> Result<Option<Response>, Problem> {
        let Some(asked) = &self.asked else { return Ok(None) };
        match self.app.answers.before(&self.app.store, self.now, asked).await? {
            Before::Nothing => Ok(None),
            Before::Another => {
                let words = "this Idempotency-Key was used for another request within a day";
                Err(Error::new(ErrorCode::IdempotencyMismatch, words).into())
            }
            Before::This(status, body) => {
                let mut response = reply::json_bytes(body.to_vec());
                *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                Ok(Some(response))
            }
        }
    }
}

/// What the store found to be so, or else this problem.
///
/// # Errors
/// The store's own, or `otherwise`.
pub fn found(done: Result<bool, store::Error>, otherwise: impl FnOnce() -> Error) -> Result<(), Problem> {
    if done? { Ok(()) } else { Err(otherwise().into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_shows_a_key_does_not_show_it_in_debug() {
        let answer = Answer::created(&"gd_live_secret").expect("an answer");
        assert_eq!(format!("{answer:?}"), "Answer { status: 201, .. }");
    }
}
