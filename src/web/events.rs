//! Owns audit events as sentences for the user they concern.

use std::collections::{BTreeSet, HashMap};

use crate::{
    app::App,
    model::error::Error,
    store::AuditEntry,
    ui::{Tone, When, sentence},
};

/// A label, and a link if there is a page for it.
#[derive(Debug, Clone)]
pub struct Link {
    pub label: String,
    pub href: Option<String>,
}

/// One event, as a sentence around its subject.
#[derive(Debug, Clone)]
pub struct EventLine {
    pub at: When,
    pub before: &'static str,
    pub subject: Option<Link>,
    pub after: String,
    /// The actor and address.
    pub by: String,
    pub tone: Tone,
}

/// Names of the subjects of events.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By the id of a key or project.
    pub things: HashMap<String, String>,
    /// By client id.
    pub clients: HashMap<String, String>,
}

/// The subject of a sentence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Nothing,
    Key,
    Project,
    Client,
}

impl Names {
    /// The names of the subjects of these entries, as far as this user may see them.
    pub(super) async fn of(app: &App, user_id: &str, entries: &[AuditEntry]) -> Result<Self, Error> {
        let mut names =
            Self::of_things(app, user_id, entries.iter().filter_map(|entry| entry.object.as_deref())).await?;
        for id in entries.iter().filter_map(|entry| entry.client_id.as_ref()) {
            names.learn_client(app, id).await?;
        }
        Ok(names)
    }

    /// The names of these keys and projects of the user.
    pub(super) async fn of_things<'i>(
        app: &App,
        user_id: &str,
        ids: impl Iterator<Item = &'i str>,
    ) -> Result<Self, Error> {
        let ids: BTreeSet<&str> = ids.collect();
        let things = app.store.names(user_id, &ids.into_iter().collect::<Vec<_>>()).await?;
        Ok(Self { things, clients: HashMap::new() })
    }

    /// Looks up the name of an app.
    pub(super) async fn learn_client(&mut self, app: &App, id: &str) -> Result<(), Error> {
        if !self.clients.contains_key(id)
            && let Some(client) = app.clients.find(id).await?
        {
            self.clients.insert(id.to_owned(), client.name.clone());
        }
        Ok(())
    }

    /// A key's name with a link to its page.
    pub(super) fn key(&self, id: &str) -> Link {
        let label = self.things.get(id).map_or(id, String::as_str);
        Link { label: label.to_owned(), href: Some(format!("/settings/keys/{id}")) }
    }

    fn subject(&self, about: About, entry: &AuditEntry) -> Option<Link> {
        let named = |names: &HashMap<String, String>, id: &str| names.get(id).map_or(id, String::as_str).to_owned();
        match about {
            About::Nothing => None,
            About::Key => entry.object.as_deref().map(|id| self.key(id)),
            About::Project => entry
                .object
                .as_deref()
                .map(|id| Link { label: named(&self.things, id), href: Some(format!("/settings/projects/{id}")) }),
            About::Client => entry.client_id.as_deref().map(|id| Link { label: named(&self.clients, id), href: None }),
        }
    }
}

/// The sentence for an event of the user `user_id`, shown as of `at`.
pub(super) fn line(entry: &AuditEntry, names: &Names, user_id: &str, at: When) -> EventLine {
    let is_refused = entry.outcome != "ok";
    let known = sentence_of(&entry.event, is_refused);
    let (about, before, after, tone) = known.unwrap_or_else(|| (of_name(&entry.event), "", "", Tone::Quiet));
    let subject = names.subject(about, entry);
    let mut after = after.to_owned();
    if known.is_none() {
        // An event of a later version: its name is better than nothing.
        after = format!(" {}", entry.event.replace(['.', '_'], " ")).trim_start_matches(' ').to_owned();
        after = if subject.is_some() { format!(": {after}") } else { sentence(&after) };
    }
    if let Some(reason) = entry.reason.as_deref().filter(|_| is_refused) {
        after = format!("{after} ({reason})");
    }
    EventLine { at, before, subject, after, by: by(entry, user_id), tone }
}

/// The subject of an event, by its name.
fn of_name(event: &str) -> About {
    match event.split('.').next() {
        Some("key") => About::Key,
        Some("project") => About::Project,
        Some("client" | "consent" | "code" | "refresh" | "grant" | "token") => About::Client,
        _ => About::Nothing,
    }
}

/// The words around an event's subject.
fn sentence_of(event: &str, is_refused: bool) -> Option<(About, &'static str, &'static str, Tone)> {
    use About::{Client, Key, Nothing, Project};
    use Tone::{Bad, Good, Quiet, Warn};
    let (about, before, after, tone) = match (event, is_refused) {
        ("login", _) => (Nothing, "You signed in", "", Quiet),
        ("logout", _) => (Nothing, "You signed out", "", Quiet),
        ("session.end", _) => (Nothing, "You signed out another browser", "", Quiet),
        ("user.create", _) => (Nothing, "Your account was created", "", Good),
        ("user.update", _) => (Nothing, "Your account was changed", "", Quiet),
        ("user.password", _) => (Nothing, "Your password was set", "", Warn),
        ("user.disable", _) => (Nothing, "Your account was disabled", "", Bad),
        ("user.enable", _) => (Nothing, "Your account was enabled", "", Good),
        ("key.create", _) => (Key, "", " was created", Good),
        ("key.import", _) => (Key, "", " was imported", Good),
        ("key.regenerate", _) => (Key, "", " was regenerated and replaced by a new key immediately", Good),
        ("key.rotate", _) => (Key, "", " was rotated and is being replaced by a new key", Good),
        ("key.revoke", _) => (Key, "", " was revoked", Bad),
        ("key.leaked", _) => (Key, "", " was leaked and has been revoked", Bad),
        ("key.update", _) => (Key, "", " was changed", Quiet),
        ("key.networks", _) => (Key, "The allowed networks of ", " were changed", Quiet),
        ("key.first_use", _) => (Key, "", " was used for the first time", Quiet),
        ("key.new_network", _) => (Key, "", " was used from a new network", Warn),
        ("key.spike", _) => (Key, "", " had far more requests than usual within an hour", Warn),
        ("key.long_sleep", _) => (Key, "", " was used again after more than 60 days", Warn),
        ("project.create", _) => (Project, "Project ", " was created", Good),
        ("project.update", _) => (Project, "Project ", " was changed", Quiet),
        ("project.disable", _) => (Project, "Project ", " was disabled; its keys stopped working", Bad),
        ("project.enable", _) => (Project, "Project ", " was enabled; its keys work again", Good),
        ("consent", false) => (Client, "You allowed ", " to use your account", Good),
        ("consent", true) => (Client, "You did not allow ", " to use your account", Quiet),
        ("consent.withdraw", _) => (Client, "You removed the access of ", "", Bad),
        ("grant.revoke", _) => (Nothing, "Access of apps to your account was revoked", "", Quiet),
        ("grant.excess", _) => (Client, "The oldest access of ", " was revoked: it had too many grants", Quiet),
        ("code.issue", _) => (Client, "You continued to ", "", Quiet),
        ("code.redeem", false) => (Client, "", " got access to your account", Quiet),
        ("code.redeem", true) => (Client, "", " was refused access to your account", Warn),
        ("code.reuse" | "refresh.reuse", _) => {
            (Client, "A token of ", " was used twice, so its access was revoked", Bad)
        }
        ("refresh", _) => (Client, "", " renewed its access to your account", Quiet),
        ("refresh.replay", _) => (Client, "", " repeated a request for new tokens", Quiet),
        ("client.create", _) => (Client, "App ", " was registered", Good),
        ("client.update", _) => (Client, "App ", " was changed", Quiet),
        ("client.secret", _) => (Client, "App ", " got a new secret", Good),
        ("client.disable", _) => (Client, "App ", " was disabled", Bad),
        ("client.enable", _) => (Client, "App ", " was enabled", Good),
        ("client.delete", _) => (Client, "App ", " was deleted", Bad),
        ("denial.read", _) => (Nothing, "An administrator viewed one of your refused requests", "", Quiet),
        _ => return None,
    };
    Some((about, before, after, tone))
}

/// The actor and address, if they are not in the sentence already.
fn by(entry: &AuditEntry, user_id: &str) -> String {
    let is_own = entry.actor == user_id || entry.actor == "system" || Some(&entry.actor) == entry.client_id.as_ref();
    let who = match entry.actor.as_str() {
        _ if is_own => "",
        "anonymous" => "by someone who had the key",
        actor if actor.starts_with("key_") => "by one of your keys",
        _ => "by an administrator",
    };
    let from = if entry.address.is_empty() { String::new() } else { format!("from {}", entry.address) };
    let words = [who, &from];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Timestamp;

    fn said(event: &str, actor: &str) -> String {
        let entry = AuditEntry {
            at: Timestamp(0),
            event: event.to_owned(),
            actor: actor.to_owned(),
            user_id: Some("user_1".to_owned()),
            client_id: None,
            object: Some("key_1".to_owned()),
            outcome: "ok".to_owned(),
            reason: None,
            address: "192.0.2.0/24".to_owned(),
            request_id: String::new(),
            times: 1,
        };
        let names = Names { things: HashMap::from([("key_1".to_owned(), "Backup".to_owned())]), ..Names::default() };
        let at = When { iso: String::new(), text: String::new() };
        let EventLine { before, subject, after, by, .. } = line(&entry, &names, "user_1", at);
        format!("{before}{}{after} | {by}", subject.map(|link| link.label).unwrap_or_default())
    }

    #[test]
    fn events_read_as_sentences_even_unknown_ones() {
        for (event, actor, words) in [
            ("key.create", "user_1", "Backup was created | from 192.0.2.0/24"),
            ("key.revoke", "cli", "Backup was revoked | by an administrator, from 192.0.2.0/24"),
            ("key.revoke", "key_1", "Backup was revoked | by one of your keys, from 192.0.2.0/24"),
            ("key.new_network", "system", "Backup was used from a new network | from 192.0.2.0/24"),
            ("key.brand_new", "system", "Backup: key brand new | from 192.0.2.0/24"),
            ("moon.rise", "system", "Moon rise. | from 192.0.2.0/24"),
        ] {
            assert_eq!(said(event, actor), words);
        }
    }
}
