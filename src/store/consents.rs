//! Owns the `consents` table: what a user allowed a client. Does not decide whether to ask; see `oauth::authorize`.

use super::{
    Error, Store,
    row::{binds, lines, record},
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        grant::{ConnectedApp, Consent, ConsentAnswer},
    },
};

impl Store {
    /// What the user allowed this client.
    pub async fn find_consent(&self, user_id: &str, client_id: &str) -> Result<Option<Consent>, Error> {
        self.find(FIND, binds![user_id, client_id]).await
    }

    /// Whether a user other than `owner` has allowed this client under this name and with this redirect host.
    pub async fn is_allowed_by_others(
        &self,
        client_id: &str,
        owner: &str,
        client_name: &str,
        host: &str,
    ) -> Result<bool, Error> {
        // Hosts are stored one per line. LIKE is avoided because it treats some of their characters as patterns.
        let sql = "SELECT user_id FROM consents WHERE client_id = $1 AND user_id <> $2 AND client_name = $3
                     AND REPLACE($4 || hosts || $4, $5, '') <> $4 || hosts || $4 LIMIT 1";
        let line = format!("\n{host}\n");
        Ok(self.find::<String>(sql, binds![client_id, owner, client_name, "\n", &line]).await?.is_some())
    }

    /// Records a consent answer; "allow" outlasts the interaction. Returns false if the interaction has ended.
    pub async fn decide_consent(&self, now: Timestamp, origin: Origin, answer: ConsentAnswer) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let ConsentAnswer { interaction, user_id, client_id, asked, allow } = answer;
                // Locked, so that concurrent answers do not overwrite each other's consent.
                tx.check_user(&user_id).await?;
                let decision = if allow { "allow" } else { "deny" };
                let waiting = tx
                    .execute(
                        "UPDATE interactions SET decided_by = $2, decision = $3 WHERE digest = $1
                         AND expires_at > $4",
                        binds![&interaction.text(), &user_id, decision, now],
                    )
                    .await?;
                if waiting == 0 {
                    return Ok(false);
                }
                let event = Event::new("consent").user(&user_id).client(&client_id);
                if !allow {
                    tx.audit(now, &origin, event.denied("the user denied access")).await?;
                    return Ok(true);
                }
                let all = match tx.find(FIND, binds![&user_id, &client_id]).await? {
                    Some(before) => asked.with(before),
                    None => asked,
                };
                let scopes = all.scopes.to_string();
                tx.execute(
                    "INSERT INTO consents (user_id, client_id, scopes, resources, created_at, client_name, hosts)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)
                     ON CONFLICT (user_id, client_id) DO UPDATE
                     SET scopes = excluded.scopes, resources = excluded.resources,
                         client_name = excluded.client_name, hosts = excluded.hosts",
                    binds![
                        &user_id,
                        &client_id,
                        &scopes,
                        &all.resources.join(" "),
                        now,
                        &all.client_name,
                        &all.hosts.join("\n")
                    ],
                )
                .await?;
                tx.audit(now, &origin, event.object(&scopes)).await?;
                Ok(true)
            })
        })
        .await
    }

    /// The clients that may act for the user: those with consent, and those with a grant but no consent, usually
    /// first-party clients. Sorted by name, at most 200 of each.
    pub async fn connected_apps(&self, now: Timestamp, user_id: &str) -> Result<Vec<ConnectedApp>, Error> {
        let mut apps: Vec<ConnectedApp> = self.list(ALLOWED, binds![user_id]).await?;
        for one in self.list::<ConnectedApp>(NEVER_ASKED, binds![user_id, now]).await? {
            match apps.last_mut() {
                // Several grants of one client are one app.
                Some(last) if last.client_id == one.client_id => {
                    last.scopes = last.scopes.union(&one.scopes);
                    last.allowed_at = last.allowed_at.min(one.allowed_at);
                    last.last_used_at = last.last_used_at.max(one.last_used_at);
                }
                _ => apps.push(one),
            }
        }
        apps.sort_by(|one, other| one.client_name.cmp(&other.client_name));
        Ok(apps)
    }

    /// Withdraws consent and revokes every grant of this user to this client. Consent answers that have not been used
    /// yet are discarded, so the user is asked again. Returns false if there was nothing to withdraw.
    pub async fn withdraw_consent(
        &self,
        now: Timestamp,
        origin: Origin,
        user_id: String,
        client_id: String,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                // In the same lock order as an answer that is being recorded: interactions first.
                tx.execute(
                    "UPDATE interactions SET decided_by = NULL, decision = NULL WHERE decided_by = $1",
                    binds![&user_id],
                )
                .await?;
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
                // A first-party client has grants but no consent.
                if found || ended {
                    // Every token of these grants depends on the user: one change covers any number of grants.
                    tx.touch(EntityKind::User, user_id.as_str());
                    tx.audit(now, &origin, Event::new("consent.withdraw").user(&user_id).client(&client_id)).await?;
                }
                Ok(found || ended)
            })
        })
        .await
    }
}

record! {
    consent_columns: Consent {
        scopes: "scopes", resources: "resources", client_name: "client_name", hosts: "hosts" => lines,
    }
}
record! {
    allowed_columns: ConnectedApp {
        client_id: "c.id", client_name: "c.name", scopes: "s.scopes", allowed_at: "s.created_at",
        last_used_at: "(SELECT MAX(g.rotated_at) FROM grants g
                        WHERE g.user_id = s.user_id AND g.client_id = s.client_id AND g.revoked_at IS NULL
                          AND g.generation > 0)",
        hosts: "s.hosts" => lines, by_operator: "c.first_party",
    }
}

const FIND: &str = concat!("SELECT ", consent_columns!(), " FROM consents WHERE user_id = $1 AND client_id = $2");
const ALLOWED: &str = concat!(
    "SELECT ",
    allowed_columns!(),
    " FROM consents s JOIN clients c ON c.id = s.client_id WHERE s.user_id = $1 ORDER BY c.name, c.id LIMIT 200"
);
/// The same columns, for grants without consent.
const NEVER_ASKED: &str = "
    SELECT c.id, c.name, g.scopes, MIN(g.created_at), MAX(g.rotated_at), '', c.first_party
    FROM grants g JOIN clients c ON c.id = g.client_id
    WHERE g.user_id = $1 AND g.revoked_at IS NULL AND g.expires_at > $2 AND g.generation > 0
      AND NOT EXISTS (SELECT 1 FROM consents s WHERE s.user_id = g.user_id AND s.client_id = g.client_id)
    GROUP BY c.id, c.name, c.first_party, g.scopes ORDER BY c.name, c.id LIMIT 200";
