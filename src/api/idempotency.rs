//! Owns idempotency: a retry with the same `Idempotency-Key` gets the same response, which was stored in the
//! transaction that it reports. Of two at once, one waits and gets the other's response. Does not
//! encrypt; see `engine::idempotency`.

use std::fmt;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::auth::Caller;
use crate::{
    app::App,
    engine::idempotency::{IdempotentRequest, Replay},
    http::{problem::Problem, reply},
    model::{
        clock::Timestamp,
        error::{Error, ErrorCode},
        secret::Digest,
    },
    store::{self, Store},
};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A response, before it is sent. It may hold a key that is shown once.
pub struct JsonResponse {
    status: StatusCode,
    body: Vec<u8>,
}

impl fmt::Debug for JsonResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A handler's work that is done once for each `Idempotency-Key`.
#[derive(Debug)]
pub struct Guarded<'a> {
    app: &'a App,
    now: Timestamp,
    request: Option<IdempotentRequest>,
}

impl JsonResponse {
    /// 201: something was made.
    pub fn created(value: &impl Serialize) -> Result<Self, Error> {
        Self::of(StatusCode::CREATED, value)
    }

    /// 200.
    pub fn done(value: &impl Serialize) -> Result<Self, Error> {
        Self::of(StatusCode::OK, value)
    }

    fn of(status: StatusCode, value: &impl Serialize) -> Result<Self, Error> {
        Ok(Self { status, body: serde_json::to_vec(value).map_err(Error::server)? })
    }
}

impl IntoResponse for JsonResponse {
    fn into_response(self) -> Response {
        let mut response = reply::json_bytes(self.body);
        *response.status_mut() = self.status;
        response
    }
}

impl<'a> Guarded<'a> {
    /// Begins; or the stored response, where the same was requested before.
    ///
    /// # Errors
    /// `idempotency_mismatch`, `temporarily_unavailable`.
    pub async fn begin(
        app: &'a App,
        caller: &Caller,
        idempotency_key: Option<(String, Digest)>,
    ) -> Result<Result<Self, Response>, Problem> {
        // The operator's command line runs once by itself.
        let request = idempotency_key.zip(caller.holder.as_ref()).map(|((name, digest), holder)| {
            let principal = &holder.credential.value.principal;
            // A refreshed token is the same app; with other scopes it must not be shown what the wider one made.
            let actor = principal.grant_id.as_ref().unwrap_or(&principal.token_id).clone();
            let request = Digest::of(&format!("{} {}", digest.text(), principal.scopes));
            IdempotentRequest { actor, name, request }
        });
        let guarded = Self { app, now: caller.info.now, request };
        match guarded.replay().await? {
            Some(response) => Ok(Err(response)),
            None => Ok(Ok(guarded)),
        }
    }

    /// The store, whose next write also stores `response`.
    pub fn store(&self, response: &JsonResponse) -> Result<Store, Error> {
        let seal = |request| self.app.idempotency.seal(self.now, request, response.status.as_u16(), &response.body);
        Ok(self.app.store.storing(self.request.as_ref().map(seal).transpose()?))
    }

    /// Sends the response if the work was done; else that of an equal request that came first.
    ///
    /// # Errors
    /// Why the work was not done.
    pub async fn end(self, response: JsonResponse, done: Result<(), Problem>) -> Result<Response, Problem> {
        match done {
            Ok(()) => Ok(response.into_response()),
            Err(problem) => self.replay().await?.ok_or(problem),
        }
    }

    async fn replay(&self) -> Result<Option<Response>, Problem> {
        let Some(request) = &self.request else { return Ok(None) };
        match self.app.idempotency.find(&self.app.store, self.now, request).await? {
            Replay::None => Ok(None),
            Replay::Mismatch => {
                let message = "this Idempotency-Key was used for another request within a day";
                Err(Error::new(ErrorCode::IdempotencyMismatch, message).into())
            }
            Replay::Stored(status, body) => {
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
        let response = JsonResponse::created(&"gd_live_secret").expect("an answer");
        assert_eq!(format!("{response:?}"), "JsonResponse { status: 201, .. }");
    }
}
