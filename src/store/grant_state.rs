//! Owns reading a grant: its client, and the state on which its tokens depend. Does not change it; see `grants`.

use super::{Error, Store, clients::client_disabled_at, grants::redeemed_columns, row::binds};
use crate::model::{clock::Timestamp, grant::Redeemed};

/// The state on which an access token's validity depends.
#[derive(Clone, Debug)]
pub struct TokenState {
    /// The token or its grant was revoked.
    pub revoked: bool,
    /// The user or client is disabled.
    pub disabled: bool,
    /// The user who owns the client; disabling that user disables the client.
    pub client_owner: Option<String>,
    /// The user's name and plan, if there is a user.
    pub user: Option<(String, String)>,
}

impl Store {
    /// The client of a grant.
    pub async fn grant_client(&self, id: &str) -> Result<Option<String>, Error> {
        self.find("SELECT client_id FROM grants WHERE id = $1", binds![id]).await
    }

    /// The state on which an access token of a grant depends, in one query.
    pub async fn grant_token_state(&self, grant_id: &str, jti: &str) -> Result<Option<TokenState>, Error> {
        const STATE: &str = concat!(
            "SELECT g.revoked_at, t.expires_at, u.disabled_at, ",
            client_disabled_at!(),
            ", u.name, u.plan, c.owner_id
             FROM grants g JOIN users u ON u.id = g.user_id JOIN clients c ON c.id = g.client_id
             LEFT JOIN revoked_tokens t ON t.jti = $2 WHERE g.id = $1"
        );
        type Since = Option<Timestamp>;
        type State = (Since, Since, Since, Since, String, String, Option<String>);
        let row = self.find::<State>(STATE, binds![grant_id, jti]).await?;
        Ok(row.map(|(grant_revoked, token_revoked, user_disabled, client_disabled, name, plan, client_owner)| {
            TokenState {
                revoked: grant_revoked.is_some() || token_revoked.is_some(),
                disabled: user_disabled.is_some() || client_disabled.is_some(),
                user: Some((name, plan)),
                client_owner,
            }
        }))
    }

    /// The live grant whose refresh token has this generation: scopes, user, and when the token expires if unused.
    pub async fn live_grant(
        &self,
        now: Timestamp,
        id: &str,
        client_id: &str,
        generation: u32,
    ) -> Result<Option<Redeemed>, Error> {
        const LIVE: &str = concat!(
            "SELECT ",
            redeemed_columns!(),
            ", idle_expires_at FROM grants
             WHERE id = $1 AND client_id = $2 AND generation = $3 AND revoked_at IS NULL
               AND expires_at > $4 AND idle_expires_at > $4
               AND EXISTS (SELECT 1 FROM users u WHERE u.id = grants.user_id AND u.disabled_at IS NULL)"
        );
        let row = self.find::<(Redeemed, Timestamp)>(LIVE, binds![id, client_id, i64::from(generation), now]).await?;
        Ok(row.map(|(grant, unused_until)| Redeemed { expires_at: grant.expires_at.min(unused_until), ..grant }))
    }
}
