//! Owns the `denials` table.

use super::{
    Error, Store,
    audit::entry_id,
    row::{Bind, Read, Row, binds, record},
    tx::transaction,
};
use crate::model::{
    clock::Timestamp,
    denial::{DenialRecord, DeniedRequest},
    reason::Reason,
};

record! {
    denial_columns: DenialRecord {
        request_id: "request_id", at: "at", status: "status", reason: "reason", api: "api", key_id: "key_id",
        user_id: "user_id", client_id: "client_id", address: "address", kind: "kind" => known,
        asked: "method, path, needs, holds",
    }
}
pub(super) use denial_columns;

impl Read for DeniedRequest {
    fn read(row: &mut Row) -> Result<Self, Error> {
        let (method, path, needs, holds) = Read::read(row)?;
        Ok(Self { method, path, needs, holds })
    }
}

const INSERT: &str = concat!(
    "INSERT INTO denials (id, ",
    denial_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
);

/// The values of a refusal in column order.
fn values<'r>(id: &'r String, record: &'r DenialRecord) -> Vec<Bind<'r>> {
    let DenialRecord { request_id, at, status, reason, kind, asked, api, key_id, user_id, client_id, address } = record;
    let DeniedRequest { method, path, needs, holds } = asked;
    binds![
        id,
        request_id,
        *at,
        i64::from(*status),
        reason,
        api,
        key_id,
        user_id,
        client_id,
        address,
        *kind,
        method,
        path,
        needs,
        holds
    ]
    .to_vec()
}

/// The refusal reason, unless a newer grantd wrote it.
fn known(kind: Option<String>) -> Option<&'static str> {
    kind.and_then(|word| Reason::WORDS.into_iter().find(|known| *known == word))
}

/// Most rows read.
const READ_MAX: i64 = 100;

impl Store {
    /// Writes refusals in one batch. After an error the caller keeps the records.
    pub async fn insert_denials(&self, now: Timestamp, records: Vec<DenialRecord>) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            let ids: Vec<String> = records.iter().map(|record| entry_id(record.at)).collect();
            let rows: Vec<_> = ids.iter().zip(&records).map(|(id, record)| values(id, record)).collect();
            tx.execute_each(INSERT, &rows).await.map(drop)
        })
    }

    /// Refusals of a request, newest first; with `user_id`, only that user's.
    pub async fn denials_of_request(
        &self,
        request_id: &str,
        user_id: Option<&str>,
    ) -> Result<Vec<DenialRecord>, Error> {
        const OF_REQUEST: &str = concat!(
            "SELECT ",
            denial_columns!(),
            " FROM denials WHERE request_id = $1 AND ($2 IS NULL OR user_id = $2) ORDER BY at DESC, id LIMIT $3"
        );
        self.list(OF_REQUEST, binds![request_id, user_id, READ_MAX]).await
    }

    /// A user's newest refusals, for one key or for all; at most 100.
    pub async fn denials_of_user(&self, user_id: &str, key_id: Option<&str>) -> Result<Vec<DenialRecord>, Error> {
        const OF_USER: &str = concat!(
            "SELECT ",
            denial_columns!(),
            " FROM denials WHERE user_id = $1 AND ($2 IS NULL OR key_id = $2) ORDER BY at DESC, id LIMIT $3"
        );
        self.list(OF_USER, binds![user_id, key_id, READ_MAX]).await
    }
}
