//! Owns idempotency: a retry with the same `Idempotency-Key` gets the same response, which was stored in the
//! transaction that it reports. Of two concurrent requests, one waits and gets the other's response. Stored responses
//! are encrypted in `engine::idempotency`.

use std::{fmt, sync::OnceLock};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use serde::Serialize;

use super::auth::Caller;
use crate::{
    app::App,
    engine::{
        Along,
        idempotency::{IdempotentRequest, Replay},
    },
    http::{problem::Problem, reply},
    model::{
        clock::Timestamp,
        error::{Error, ErrorCode},
        secret::Digest,
    },
};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A response, before it is sent. It may hold a key that is shown once.
struct JsonResponse {
    status: StatusCode,
    body: Vec<u8>,
}

impl fmt::Debug for JsonResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A handler's work, done once for each `Idempotency-Key`.
#[derive(Debug)]
pub struct Idempotent<'a> {
    app: &'a App,
    now: Timestamp,
    request: Option<IdempotentRequest>,
    response: OnceLock<JsonResponse>,
}

impl JsonResponse {
    fn of(status: StatusCode, value: &impl Serialize) -> Result<Self, Error> {
        Ok(Self { status, body: serde_json::to_vec(value).map_err(Error::server)? })
    }

    fn response(&self) -> Response {
        let mut response = reply::json_bytes(self.body.clone());
        *response.status_mut() = self.status;
        response
    }
}

impl<'a> Idempotent<'a> {
    /// The work of this caller's request.
    pub fn of(app: &'a App, caller: &Caller, idempotency_key: Option<(String, Digest)>) -> Self {
        // The operator's command line sends each request once.
        let request = idempotency_key.zip(caller.holder()).map(|((name, digest), holder)| {
            let principal = &holder.credential.value.principal;
            // A refreshed token belongs to the same app, but with other scopes it must not see what a wider token created.
            let actor = principal.grant_id.as_ref().unwrap_or(&principal.token_id).clone();
            let request = Digest::of(&format!("{} {}", digest.text(), principal.scopes));
            IdempotentRequest { actor, name, request }
        });
        Self { app, now: caller.info.now, request, response: OnceLock::new() }
    }

    /// The response to the work, which must call [`Self::created`] or [`Self::done`]. If an equal request was answered before
    /// or came first, its stored response.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<Response, Problem> {
        if let Some(response) = self.replay().await? {
            return Ok(response);
        }
        match work.await {
            Ok(_) => Ok(self.response.get().ok_or_else(|| Error::server("the work has no response"))?.response()),
            Err(problem) => self.replay().await?.ok_or(problem),
        }
    }

    /// Answers 201 with this body.
    pub fn created(&self, value: &impl Serialize) -> Along {
        self.answer(StatusCode::CREATED, value)
    }

    /// Answers 200 with this body.
    pub fn done(&self, value: &impl Serialize) -> Along {
        self.answer(StatusCode::OK, value)
    }

    /// The response to store with the work.
    fn answer(&self, status: StatusCode, value: &impl Serialize) -> Along {
        let response = JsonResponse::of(status, value)?;
        let seal = |request| self.app.idempotency.seal(self.now, request, response.status.as_u16(), &response.body);
        let sealed = self.request.as_ref().map(seal).transpose()?;
        // Each piece of work has one response.
        drop(self.response.set(response));
        Ok(sealed)
    }

    async fn replay(&self) -> Result<Option<Response>, Problem> {
        let Some(request) = &self.request else { return Ok(None) };
        match self.app.idempotency.find(&self.app.store, self.now, request).await? {
            Replay::None => Ok(None),
            Replay::Mismatch => {
                let message = "this Idempotency-Key was already used for a different request";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_with_keys_hide_them_in_debug_output() {
        let response = JsonResponse::of(StatusCode::CREATED, &"gd_live_secret").expect("an answer");
        assert_eq!(format!("{response:?}"), "JsonResponse { status: 201, .. }");
    }
}
