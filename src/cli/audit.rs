//! Owns `grantd audit`.

use aws_lc_rs::hmac;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Global, admin::Admin, context, output};
use crate::{
    api::audit::Entry,
    app::check_master,
    engine::master::Purpose,
    model::error::Error,
    store::{ChainPosition, SealedEntry},
};

/// Show the audit log, newest first
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Audit {
    /// Number of entries
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    #[command(subcommand)]
    command: Option<AuditCommand>,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no entry was changed or removed
    Verify,
    /// Export every entry with its sequence number and seal, oldest first, as JSON lines
    Export(Export),
}

#[derive(Debug, Args)]
pub struct Export {
    /// Only entries after this sequence number
    #[arg(long, default_value_t = 0)]
    after: i64,
}

impl Audit {
    /// Whether it uses the management API.
    pub(super) fn is_remote(&self) -> bool {
        self.command.is_none()
    }

    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self.command {
            Some(AuditCommand::Verify) => return verify(global).await,
            Some(AuditCommand::Export(export)) => return export.run(global).await,
            None => {}
        }
        let entries = Admin::open(global).await?.list("/audit", &[], self.limit.into()).await?;
        let members =
            ["at", "event", "outcome", "actor", "user", "client", "object", "reason", "address", "request_id", "times"];
        output::list(global, "entries", &entries, &members)
    }
}

impl Export {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let (opened, _) = sealed(global).await?;
        let mut after = self.after;
        loop {
            let entries = opened.store.sealed_entries(after).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            after = last.seq;
            for entry in &entries {
                output::line(&exported(entry)?.to_string())?;
            }
        }
    }
}

/// An entry in the management API's form, to the millisecond, with its number, id and seal.
fn exported(sealed: &SealedEntry) -> Result<Value, Error> {
    let mut entry = serde_json::to_value(Entry::from(sealed.entry.clone())).map_err(Error::server)?;
    entry["at"] = sealed.entry.at.rfc3339_exact().into();
    entry["seq"] = sealed.seq.into();
    entry["id"] = sealed.id.as_str().into();
    entry["seal"] = sealed.seal.as_str().into();
    Ok(entry)
}

/// The database, with its newest entries sealed as a running server does every few seconds.
async fn sealed(global: &Global) -> Result<(context::Opened, hmac::Key), Error> {
    let opened = context::store(global).await?;
    let master = context::master_key(&opened.config)?;
    // With another key, every seal would look tampered with.
    check_master(&opened.store, &master, opened.now).await?;
    let key = master.mac(Purpose::Audit)?;
    while opened.store.seal_audit(opened.now, &key).await? {}
    Ok((opened, key))
}

/// Checks the whole chain.
async fn verify(global: &Global) -> Result<(), Error> {
    let (opened, key) = sealed(global).await?;
    let (mut link, head) = opened.store.audit_ends().await?;
    let oldest = link.seq + 1;
    loop {
        let entries = opened.store.sealed_entries(link.seq).await?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let expected = link.seq + 1;
            if entry.seq != expected {
                return Err(broken(&format!("entry {expected} is missing")));
            }
            if link.next_seal(&key, &entry.id, &entry.entry) != entry.seal {
                return Err(broken(&format!("entry {expected}, or the one before it, was changed")));
            }
            link = ChainPosition { seq: entry.seq, seal: entry.seal };
        }
    }
    // The server may have sealed more meanwhile; if there is less than before, the end was cut off.
    if link.seq < head.seq || (link.seq == head.seq && link.seal != head.seal) {
        return Err(broken(&format!("entries {} to {} are missing", link.seq + 1, head.seq)));
    }
    let entries = link.seq + 1 - oldest;
    if global.json {
        let members = [
            ("intact", json!(true)),
            ("entries", json!(entries)),
            ("oldest", json!(oldest)),
            ("newest", json!(link.seq)),
        ];
        return output::one(global, &members);
    }
    output::line(&match entries {
        0 => "The audit log is intact: it has no entries.".to_owned(),
        1 => format!("The audit log is intact: 1 entry, number {oldest}."),
        _ => format!("The audit log is intact: {entries} entries, numbers {oldest} to {}.", link.seq),
    })
}

fn broken(what: &str) -> Error {
    Error::invalid_request(format!("the audit log was tampered with: {what}"))
}
