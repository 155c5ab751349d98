//! Owns counting sign-ins by outcome, as seen in the responses. Does not sign users in; see `login`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
};

use super::{
    login,
    request::{PageFailure, PageResult},
};
use crate::{app::App, http::extract::RequestInfo, meters::Count};

/// `POST /login`, counted. Requests that are not sign-ins, such as a forged form, are not counted.
pub async fn sign_in(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> PageResult {
    let answer = login::sign_in(State(Arc::clone(&app)), info, request).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(PageFailure::Page(error)) => StatusCode::from_u16(error.code.status()).unwrap_or_default(),
        Err(PageFailure::Elsewhere(_)) => return answer,
    };
    let ended = match status {
        StatusCode::SEE_OTHER => "success",
        StatusCode::UNAUTHORIZED => "wrong",
        StatusCode::TOO_MANY_REQUESTS => "limited",
        status if status.is_server_error() => "unavailable",
        _ => return answer,
    };
    app.telemetry.sign_ins.with(ended, Count::one);
    answer
}
