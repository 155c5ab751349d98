//! Owns the `signing_keys` table. Does not decrypt the sealed keys; see `engine::signing`.

use super::{
    Error, Store,
    row::{binds, record},
    tx::transaction,
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
    },
};

/// A signing key as stored.
#[derive(Clone, Debug)]
pub struct SigningKeyRow {
    /// Key id: its RFC 7638 thumbprint.
    pub kid: String,
    /// `alg` value.
    pub algorithm: String,
    /// Numbers the keys of one algorithm; unique, so that two nodes cannot both create the next.
    pub generation: i64,
    /// The private key, sealed under the master key.
    pub sealed: String,
    /// The public key as a JWK.
    pub public_jwk: String,
    /// When it was created and published.
    pub created_at: Timestamp,
    /// When it starts to sign.
    pub active_from: Timestamp,
}

record! {
    signing_key_columns: SigningKeyRow {
        kid: "kid", algorithm: "algorithm", generation: "generation", sealed: "sealed", public_jwk: "public_jwk",
        created_at: "created_at", active_from: "active_from",
    }
}

impl Store {
    /// Every signing key, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, Error> {
        const ALL: &str =
            concat!("SELECT ", signing_key_columns!(), " FROM signing_keys ORDER BY algorithm, generation");
        self.list(ALL, &[]).await
    }

    /// Adds a key; returns false if another node has already added this generation.
    pub async fn insert_signing_key(&self, now: Timestamp, origin: Origin, key: SigningKeyRow) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            let new = tx
                .execute(
                    "INSERT INTO signing_keys (kid, algorithm, generation, sealed, public_jwk, created_at,
                     active_from)
                     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (algorithm, generation) DO NOTHING",
                    binds![
                        &key.kid,
                        &key.algorithm,
                        key.generation,
                        &key.sealed,
                        &key.public_jwk,
                        key.created_at,
                        key.active_from
                    ],
                )
                .await?;
            if new > 0 {
                tx.touch(EntityKind::SigningKeys, "");
                tx.audit(now, &origin, Event::new("signing_key.create").object(&key.kid)).await?;
            }
            Ok(new > 0)
        })
    }

    /// Makes the master key with this fingerprint the database's, with signing keys sealed under it: all or nothing. A
    /// key that was dropped meanwhile stays dropped.
    pub async fn replace_master_key(
        &self,
        now: Timestamp,
        origin: Origin,
        fingerprint: String,
        sealed: Vec<(String, SigningKeyRow)>,
    ) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            let own = "UPDATE meta SET value = $1 WHERE name = 'master_key' AND value <> $1";
            let is_new = tx.execute(own, binds![&fingerprint]).await? > 0;
            for (sealed, key) in &sealed {
                let seal = "UPDATE signing_keys SET sealed = $2 WHERE kid = $1 AND sealed = $3";
                tx.execute(seal, binds![&key.kid, sealed, &key.sealed]).await?;
            }
            if is_new || !sealed.is_empty() {
                tx.touch(EntityKind::SigningKeys, "");
                tx.audit(now, &origin, Event::new("master_key.rotate")).await?;
            }
            Ok(())
        })
    }

    /// Deletes a key: all tokens signed with it become invalid at once.
    pub async fn delete_signing_key(&self, now: Timestamp, origin: Origin, kid: String) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            if tx.execute("DELETE FROM signing_keys WHERE kid = $1", binds![&kid]).await? > 0 {
                tx.touch(EntityKind::SigningKeys, "");
                tx.audit(now, &origin, Event::new("signing_key.drop").object(&kid)).await?;
            }
            Ok(())
        })
    }
}
