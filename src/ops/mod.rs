//! Owns the operations endpoints: liveness, readiness, metrics. What belongs here: the endpoints and the text of the
//! metrics page. Not here: counting, which each part does itself.

mod metrics;
mod process;

use std::sync::Arc;

use aws_lc_rs::constant_time;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    app::App,
    http::{
        error::{BearerError, OAuthError},
        extract::bearer,
        reply,
    },
    model::error::{Error, ErrorCode},
};

/// `GET /livez`: the process responds.
pub async fn livez() -> Response {
    reply::json(&json!({ "status": "alive" }))
}

/// `GET /readyz`: the store responds too.
pub async fn readyz(State(app): State<Arc<App>>) -> Result<Response, OAuthError> {
    app.store.ping().await?;
    Ok(reply::json(&json!({ "status": "ready" })))
}

/// `GET /metrics`, in Prometheus text format. Requires the configured token.
pub async fn metrics(State(app): State<Arc<App>>, request: Request) -> Result<Response, BearerError> {
    let expected = app.config.metrics_token.expose_secret();
    if expected.is_empty() {
        return Err(BearerError { error: Error::not_found(), name: "not_found" });
    }
    let presented = bearer(request.headers()).ok().flatten().unwrap_or_default();
    if constant_time::verify_slices_are_equal(expected.as_bytes(), presented.as_bytes()).is_err() {
        let error = Error::new(ErrorCode::InvalidToken, "send metrics_token as a Bearer token");
        return Err(BearerError { error, name: "invalid_token" });
    }
    let text = HeaderValue::from_static("text/plain; version=0.0.4");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, text)], metrics::page(&app)).into_response())
}
