//! Owns the `revoked_tokens` table: one row per revoked access token, none per issued one.

use super::{Error, Store, clients::client_disabled_at, grant_state::TokenState, row::binds, tx::transaction};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
    },
};

impl Store {
    /// Revokes one access token. The row is kept at least until the token would have expired.
    pub async fn revoke_token(
        &self,
        now: Timestamp,
        origin: Origin,
        jti: String,
        client_id: String,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            let new = tx
                .execute(
                    "INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING",
                    binds![&jti, expires_at],
                )
                .await?;
            if new > 0 {
                tx.touch(EntityKind::Token, jti.as_str());
                tx.audit(now, &origin, Event::new("token.revoke").client(&client_id).object(&jti)).await?;
            }
            Ok(())
        })
    }

    /// The state on which an access token of a client itself depends.
    pub async fn client_token_state(&self, client_id: &str, jti: &str) -> Result<Option<TokenState>, Error> {
        const STATE: &str = concat!(
            "SELECT ",
            client_disabled_at!(),
            ", t.expires_at, c.owner_id FROM clients c LEFT JOIN revoked_tokens t ON t.jti = $2 WHERE c.id = $1"
        );
        let row: Option<(Option<Timestamp>, Option<Timestamp>, Option<String>)> =
            self.find(STATE, binds![client_id, jti]).await?;
        Ok(row.map(|(disabled_at, revoked_until, client_owner)| TokenState {
            disabled: disabled_at.is_some(),
            revoked: revoked_until.is_some(),
            user: None,
            client_owner,
        }))
    }
}
