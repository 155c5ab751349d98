//! Owns that a provider can put grantd before its API and leave its documentation unchanged: each document's own commands and
//! snippets run as they stand, with only host and key replaced, through a real nginx with the example configuration.

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

/// Where the document's API is, for its reader.
struct Site {
    front: Front,
    reader: Reader,
}

impl Site {
    /// With this profile, arranged before the server starts.
    async fn new(profile: &str, arrange: impl FnOnce(&Installation)) -> Self {
        Self { front: Front::with(Kind::Nginx, profile, arrange).await, reader: Reader::new() }
    }

    /// The document's words with its host replaced, and its key by `key`.
    fn here(&self, words: &str, host: &str, placeholder: &str, key: &str) -> String {
        assert!(words.contains(host) && words.contains(placeholder), "{words}");
        words.replace(host, &self.front.proxy.base).replace(placeholder, key)
    }

    /// A user at grantd's pages, which are at the same host.
    fn visitor(&self) -> Visitor<'_> {
        Visitor::through(&self.front.grantd, &self.front.proxy.base)
    }

    /// The first answer that is `status`: a change by the command line is noticed within a second.
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
