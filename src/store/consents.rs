//! Owns the `consents` table: what a user allowed a client. Does not decide whether to ask; see `oauth::authorize`.

use super::{Error, Store, row::binds};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        grant::ConnectedApp,
        scope::Scopes,
        secret::Digest,
    },
};

impl Store {
    /// What the user allowed this client: scopes and audience URIs.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_consent(&self, user_id: &str, client_id: &str) -> Result<Option<(Scopes, Vec<String>)>, Error> {
        let row = self
            .row(
                "SELECT scopes, resources FROM consents WHERE user_id = $1 AND client_id = $2",
                binds![user_id, client_id],
            )
            .await?;
        row.map(|mut row| Ok((row.scopes(0)?, row.words(1)?))).transpose()
    }

    /// Whether somebody else than `owner` allows this client something.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_allowed_by_others(&self, client_id: &str, owner: &str) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM consents WHERE client_id = $1 AND user_id <> $2 LIMIT 1";
        Ok(self.row(sql, binds![client_id, owner]).await?.is_some())
    }

    /// Records the answer to the consent page of `interaction`; "allow" is remembered beyond it.
    /// False if the interaction has ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    #[expect(clippy::too_many_arguments, reason = "one row's worth of plain values, used once")]
    pub async fn decide_consent(
        &self,
        now: Timestamp,
        origin: Origin,
        interaction: Digest,
        user_id: String,
        client_id: String,
        scopes: Scopes,
        resources: Vec<String>,
        allow: bool,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                // Locked, so that of two answers at once neither forgets what the other allowed.
                tx.check_user(&user_id).await?;
                let decision = if allow { "allow" } else { "deny" };
                let waiting = tx
                    .execute(
                        "UPDATE interactions SET decided_by = $2, decision = $3 WHERE digest = $1 AND expires_at > $4",
                        binds![&interaction.text(), &user_id, decision, now],
                    )
                    .await?;
                if waiting == 0 {
                    return Ok(false);
                }
                let event = Event::new("consent").user(&user_id).client(&client_id);
                if !allow {
                    tx.audit(now, &origin, event.denied("the user said no")).await?;
                    return Ok(true);
                }
                let before = tx
                    .row("SELECT scopes, resources FROM consents WHERE user_id = $1 AND client_id = $2", binds![&user_id, &client_id])
                    .await?;
                let (mut all, mut targets) = (scopes, resources);
                if let Some(mut row) = before {
                    all = all.union(&row.scopes(0)?);
                    targets.extend(row.words(1)?);
                    targets.sort_unstable();
                    targets.dedup();
                }
                tx.execute(
                    "INSERT INTO consents (user_id, client_id, scopes, resources, created_at) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (user_id, client_id) DO UPDATE SET scopes = excluded.scopes, resources = excluded.resources",
                    binds![&user_id, &client_id, &all.to_string(), &targets.join(" "), now],
                )
                .await?;
                tx.audit(now, &origin, event.object(&all.to_string())).await?;
                Ok(true)
            })
        })
        .await
    }

    /// The clients the user allowed, with their last use.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn connected_apps(&self, user_id: &str) -> Result<Vec<ConnectedApp>, Error> {
        let rows = self
            .rows(
                "SELECT c.id, c.name, s.scopes, s.created_at, (SELECT MAX(g.rotated_at) FROM grants g WHERE g.user_id = s.user_id AND g.client_id = s.client_id)
                 FROM consents s JOIN clients c ON c.id = s.client_id WHERE s.user_id = $1 ORDER BY c.name LIMIT 200",
                binds![user_id],
            )
            .await?;
        rows.into_iter()
            .map(|mut row| {
                Ok(ConnectedApp {
                    client_id: row.text(0)?,
                    client_name: row.text(1)?,
                    scopes: row.scopes(2)?,
                    allowed_at: row.at(3)?,
                    last_used_at: row.opt_at(4)?,
                })
            })
            .collect()
    }

    /// Withdraws consent: every grant of this user to this client ends with it. False if there was nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn withdraw_consent(
        &self,
        now: Timestamp,
        origin: Origin,
        user_id: String,
        client_id: String,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let found = tx
                    .execute("DELETE FROM consents WHERE user_id = $1 AND client_id = $2", binds![&user_id, &client_id])
                    .await?
                    > 0;
                let ended = tx
                    .execute(
                        "UPDATE grants SET revoked_at = $3, revoked_because = 'consent withdrawn'
                         WHERE user_id = $1 AND client_id = $2 AND revoked_at IS NULL",
                        binds![&user_id, &client_id, now],
                    )
                    .await?
                    > 0;
                // A first-party client has grants and no consent.
                if found || ended {
                    // Every token of every such grant depends on its user: one change, however many grants there were.
                    tx.touch(EntityKind::User, user_id.as_str());
                    tx.audit(now, &origin, Event::new("consent.withdraw").user(&user_id).client(&client_id)).await?;
                }
                Ok(found || ended)
            })
        })
        .await
    }
}
