//! Owns how other servers are asked over HTTP.

use reqwest::{Client, ClientBuilder, redirect::Policy};

/// A client for the server at `base`, which is https or on this machine: it follows no redirect. Plain HTTP is only for this
/// machine and never leaves it, so no proxy is asked for that, whatever the environment says; for https one may be, and
/// sees nothing of what is inside.
pub fn build(base: &str) -> ClientBuilder {
    let builder = Client::builder().redirect(Policy::none()).user_agent(concat!("grantd/", env!("CARGO_PKG_VERSION")));
    if base.starts_with("https:") { builder.https_only(true) } else { builder.no_proxy() }
}
