//! Owns `/assets`, `/` and `/settings`. The assets are part of the binary; their URLs change with their contents.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::request::{PageResult, redirect};
use crate::{
    app::App,
    http::{gzip::Compressed, page::ASSETS},
    model::error::Error,
};

/// The assets, in the order of `ASSETS`.
static PACKED: LazyLock<[Compressed; ASSETS.len()]> =
    LazyLock::new(|| ASSETS.map(|(_, _, text)| Compressed::new(text)));

/// `GET /` and `GET /settings`: redirects to the user's keys.
pub async fn root(State(app): State<Arc<App>>) -> Response {
    redirect(&app, "/settings/keys")
}

/// `GET /assets/{name}`
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> PageResult {
    let at = ASSETS.iter().position(|(asset, _, _)| *asset == name).ok_or_else(Error::not_found)?;
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    let kind = HeaderValue::from_static(ASSETS[at].1);
    let response = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)].into_response();
    Ok(PACKED[at].fill(&headers, response))
}
