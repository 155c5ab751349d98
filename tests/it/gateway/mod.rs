//! Owns the gateway's tests: its decisions about proxied requests.

mod decision;
mod dialects;
mod guesses;
mod limits;
mod mistaken;
mod own;
mod replayed;
#[cfg(feature = "services")]
mod shared;
mod told;

use axum::{body::Body, http::Request};

use crate::harness::{Reply, TestApp};

/// The address of the one trusted proxy.
const PROXY: &str = "10.0.0.1";

async fn app() -> TestApp {
    TestApp::with(&[("GRANTD_TRUSTED_PROXIES", "10.0.0.0/8")]).await
}

/// Sends a request as the proxy at `peer` would, with these headers.
async fn ask_from(app: &TestApp, peer: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
    let request = headers.iter().fold(Request::get(target), |request, (name, value)| request.header(*name, *value));
    app.send_from(peer, request.body(Body::empty()).expect("a request")).await
}

async fn ask(app: &TestApp, headers: &[(&str, &str)]) -> Reply {
    ask_from(app, PROXY, "/gateway/verify/example-api", headers).await
}
