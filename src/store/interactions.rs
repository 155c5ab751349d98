//! Owns the `interactions` table: authorization requests that wait for a user.

use super::{Error, Store, row::binds, tx::transaction};
use crate::model::{authorize_request::AuthorizeRequest, clock::Timestamp, secret::Digest};

/// A waiting request.
#[derive(Clone, Debug)]
pub struct Interaction {
    /// Digest of the cookie of the browser to which it is bound.
    pub browser: Digest,
    /// The authorization request.
    pub request: AuthorizeRequest,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When a user last signed in for it.
    pub signed_in_at: Option<Timestamp>,
    /// The user who answered the consent page, and whether the answer was "allow".
    pub decision: Option<(String, bool)>,
}

impl Store {
    /// Stores a request under the digest of its id.
    pub async fn insert_interaction(&self, id: Digest, interaction: Interaction) -> Result<(), Error> {
        let request =
            serde_json::to_string(&interaction.request).map_err(|_| Error::Corrupt("a request cannot be written"))?;
        transaction!(self, interaction.created_at, |tx| {
            tx.execute(
                "INSERT INTO interactions (digest, browser, request, created_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5)",
                binds![
                    &id.text(),
                    &interaction.browser.text(),
                    &request,
                    interaction.created_at,
                    interaction.expires_at
                ],
            )
            .await
            .map(drop)
        })
    }

    /// The request with this id, if it has not expired.
    pub async fn find_interaction(&self, now: Timestamp, id: &Digest) -> Result<Option<Interaction>, Error> {
        const FIND: &str = "
            SELECT browser, request, created_at, expires_at, signed_in_at, decided_by, decision
            FROM interactions WHERE digest = $1 AND expires_at > $2";
        type Found = (Digest, String, Timestamp, Timestamp, Option<Timestamp>, Option<String>, Option<String>);
        let Some(found) = self.find::<Found>(FIND, binds![&id.text(), now]).await? else { return Ok(None) };
        let (browser, request, created_at, expires_at, signed_in_at, decided_by, decision) = found;
        let request = serde_json::from_str(&request).map_err(|_| Error::Corrupt("a kept request"))?;
        let decision = decided_by.zip(decision).map(|(by, decision)| (by, decision == "allow"));
        Ok(Some(Interaction { browser, request, created_at, expires_at, signed_in_at, decision }))
    }

    /// Records that a user signed in for this request, and clears any earlier decision.
    pub async fn interaction_signed_in(&self, now: Timestamp, id: Digest) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            tx.execute(
                "UPDATE interactions SET signed_in_at = $2, decided_by = NULL, decision = NULL WHERE digest = $1",
                binds![&id.text(), now],
            )
            .await
            .map(drop)
        })
    }

    /// Deletes a waiting request that led to a code or an error. Returns false if it was already deleted.
    pub async fn delete_interaction(&self, now: Timestamp, id: Digest) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            Ok(tx.execute("DELETE FROM interactions WHERE digest = $1", binds![&id.text()]).await? > 0)
        })
    }
}
