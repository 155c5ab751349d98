//! Owns the hash chain over the audit log: numbers, seals, retention from its oldest end, and reading it whole.
//!
//! A seal is an HMAC over the previous seal, the number and the entry, under a key that is not in the database. After
//! rows are changed or removed, the chain cannot be made valid again without that key. Removal of the newest entries is
//! detected with a copy of the newest position.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;

use super::{
    AuditEntry, Error, Store,
    audit::audit_columns,
    row::{Column, Value, binds},
    tx::{Tx, transaction},
};
use crate::model::clock::Timestamp;

/// Entries sealed, read or deleted in one transaction.
const BATCH: i64 = 500;
const HEAD: &str = "audit_head";
const ANCHOR: &str = "audit_anchor";

/// A position in the chain: number and seal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainPosition {
    /// 0 before the first entry.
    pub seq: i64,
    /// Empty before the first entry.
    pub seal: String,
}

/// An entry with its position.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SealedEntry {
    /// Its number: one more than the entry before.
    pub seq: i64,
    /// Its identifier.
    pub id: String,
    /// What happened.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// HMAC over this entry and everything before it.
    pub seal: String,
}

impl ChainPosition {
    /// The seal of the entry after this one.
    pub fn next_seal(&self, key: &hmac::Key, id: &str, entry: &AuditEntry) -> String {
        let entry = serde_json::to_string(entry).unwrap_or_default();
        let input = format!("{}\n{}\n{id}\n{entry}", self.seal, self.seq + 1);
        BASE64URL_NOPAD.encode(hmac::sign(key, input.as_bytes()).as_ref())
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let (seq, seal) = text.split_once(' ').ok_or(Error::Corrupt("a link of the audit log"))?;
        let seq = seq.parse().map_err(|_| Error::Corrupt("a link of the audit log"))?;
        Ok(Self { seq, seal: seal.to_owned() })
    }

    fn text(&self) -> String {
        format!("{} {}", self.seq, self.seal)
    }
}

const SEAL: &str = "UPDATE audit SET seq = v.column2, seal = v.column3
                    FROM (VALUES ($1, $2, $3)) AS v WHERE audit.id = v.column1";

impl Column for ChainPosition {
    fn of(value: Value) -> Result<Self, Error> {
        Self::parse(&String::of(value)?)
    }
}

impl Tx {
    /// A chain position stored in `meta`; its row stays locked.
    async fn link(&mut self, name: &'static str) -> Result<ChainPosition, Error> {
        let start = ChainPosition::default().text();
        let insert = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE
                      SET value = meta.value RETURNING value";
        self.one(insert, binds![name, &start]).await
    }

    async fn set_link(&mut self, name: &'static str, link: &ChainPosition) -> Result<(), Error> {
        self.execute("UPDATE meta SET value = $2 WHERE name = $1", binds![name, &link.text()]).await.map(drop)
    }

    /// Deletes the oldest entries; returns how many.
    pub(super) async fn trim_audit(&mut self, before: Timestamp) -> Result<u64, Error> {
        let oldest: Vec<(i64, String, Timestamp)> = self
            .list("SELECT seq, seal, at FROM audit WHERE seq IS NOT NULL ORDER BY seq LIMIT $1", binds![BATCH])
            .await?;
        let mut last = None;
        for (seq, seal, at) in oldest {
            if at >= before {
                break;
            }
            last = Some(ChainPosition { seq, seal });
        }
        let Some(last) = last else { return Ok(0) };
        self.link(ANCHOR).await?;
        self.set_link(ANCHOR, &last).await?;
        self.execute("DELETE FROM audit WHERE seq <= $1", binds![last.seq]).await
    }
}

impl Store {
    /// Gives unsealed entries their number and seal, a bounded number at a time. Returns whether there may be more.
    pub async fn seal_audit(&self, now: Timestamp, key: &hmac::Key) -> Result<bool, Error> {
        // Usually there are none; then nothing is written.
        if self.find::<String>("SELECT id FROM audit WHERE seq IS NULL LIMIT 1", &[]).await?.is_none() {
            return Ok(false);
        }
        let key = key.clone();
        transaction!(self, now, |tx| {
            let mut head = tx.link(HEAD).await?;
            const UNSEALED: &str =
                concat!("SELECT id, ", audit_columns!(), " FROM audit WHERE seq IS NULL ORDER BY at, id LIMIT $1");
            let rows: Vec<(String, AuditEntry)> = tx.list(UNSEALED, binds![BATCH]).await?;
            let count = rows.len();
            let mut seals = Vec::with_capacity(count);
            for (id, entry) in rows {
                head = ChainPosition { seal: head.next_seal(&key, &id, &entry), seq: head.seq + 1 };
                seals.push((id, head.clone()));
            }
            let seals: Vec<_> = seals.iter().map(|(id, link)| binds![id, link.seq, &link.seal].to_vec()).collect();
            tx.execute_each(SEAL, &seals).await?;
            tx.set_link(HEAD, &head).await?;
            Ok(i64::try_from(count).unwrap_or_default() >= BATCH)
        })
    }

    /// The positions before the oldest entry, and of the newest.
    pub async fn audit_ends(&self) -> Result<(ChainPosition, ChainPosition), Error> {
        let link = async |name: &str| -> Result<ChainPosition, Error> {
            Ok(self.find("SELECT value FROM meta WHERE name = $1", binds![name]).await?.unwrap_or_default())
        };
        Ok((link(ANCHOR).await?, link(HEAD).await?))
    }

    /// Sealed entries after number `seq`, in order; at most 500.
    pub async fn sealed_entries(&self, seq: i64) -> Result<Vec<SealedEntry>, Error> {
        const SEALED: &str =
            concat!("SELECT seq, id, ", audit_columns!(), ", seal FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2");
        let rows: Vec<(i64, String, AuditEntry, String)> = self.list(SEALED, binds![seq, BATCH]).await?;
        Ok(rows.into_iter().map(|(seq, id, entry, seal)| SealedEntry { seq, id, entry, seal }).collect())
    }
}
