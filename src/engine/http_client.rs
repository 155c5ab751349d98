//! Owns the HTTP client for requests to other servers.

use reqwest::{Client, ClientBuilder, redirect::Policy};

/// A client for the server at `base`, which is https or on this machine. It follows no redirects. Plain HTTP is only
/// for this machine and bypasses any proxy in the environment; https may use a proxy, which cannot read the content.
pub fn build(base: &str) -> ClientBuilder {
    let builder = Client::builder().redirect(Policy::none()).user_agent(concat!("grantd/", env!("CARGO_PKG_VERSION")));
    if base.starts_with("https:") { builder.https_only(true) } else { builder.no_proxy() }
}
