//! Owns tests that a provider can put grantd in front of its API without changing its documentation: each document's
//! commands and snippets run with only host and key replaced, through a real nginx with the example configuration.

mod api_key_module;
mod bearer;
mod ensemble;
mod iapm;
mod telemetry_harbor;

use serde_json::Value;

use crate::harness::{
    Reply, Visitor,
    document::Reader,
    front::{EMAIL, Front},
    process::Installation,
    proxy::Kind,
    wait,
};

/// The API's URL in the document.
struct Site {
    front: Front,
    reader: Reader,
}

impl Site {
    /// With this profile, and with setup before the server starts.
    async fn new(profile: &str, arrange: impl FnOnce(&Installation)) -> Self {
        Self { front: Front::with(Kind::Nginx, profile, arrange).await, reader: Reader::new() }
    }

    /// The document's text with its host replaced, and its key by `key`.
    fn here(&self, words: &str, host: &str, placeholder: &str, key: &str) -> String {
        assert!(words.contains(host) && words.contains(placeholder), "{words}");
        words.replace(host, &self.front.proxy.base).replace(placeholder, key)
    }

    /// A user at grantd's pages, which are at the same host.
    fn visitor(&self) -> Visitor<'_> {
        Visitor::through(&self.front.grantd, &self.front.proxy.base)
    }

    /// The first response with `status`: a change by the command line is seen within a second.
    async fn until(&self, status: u16, path: &str, header: (&str, &str)) -> Reply {
        let ask = async || self.front.ask("GET", path, &[header], "").await;
        wait::until(status, async || Some(ask().await).filter(|reply| reply.status == status)).await
    }
}

/// The text of a member.
#[track_caller]
fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}
