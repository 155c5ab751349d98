//! Owns `/assets`, `/` and `/settings`. The assets are part of the binary; their URLs change with their bytes.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::kit::{Answer, go};
use crate::{app::App, http::page::ASSETS, model::error::Error};

/// `GET /` and `GET /settings`: where one's keys are.
pub async fn root(State(app): State<Arc<App>>) -> Response {
    go(&app, "/settings/keys")
}

/// `GET /assets/{name}`
pub async fn asset(Path(name): Path<String>) -> Answer {
    let (_, kind, text) = ASSETS.iter().find(|(asset, _, _)| *asset == name).ok_or_else(Error::not_found)?;
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CACHE_CONTROL, kept)], *text).into_response())
}
