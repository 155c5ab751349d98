//! Owns the `grants` table: single use, rotation and revocation, each in one conditional statement (DESIGN idea 2).
//! Does not check the authenticity of tokens; see `engine::grant_token`.

use super::{
    Error, Store,
    clients::client_disabled_at,
    row::{binds, record},
    tx::{Tx, transaction},
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::{Error as ModelError, ErrorCode},
        grant::{NewGrant, Redeemed},
    },
};

/// Most replays of one successor within its grace window, far above what a retrying client sends.
const REPLAYS_MAX: i64 = 256;

/// Outcome of a redemption. A refusal is committed too: it may have revoked the grant.
#[derive(Debug)]
pub enum Redemption<T = ()> {
    /// Exactly one caller per generation gets this; within the grace window, a retry gets the same successor again.
    /// Carries the result of the check.
    Redeemed(Redeemed, T),
    /// Refused; nothing is issued.
    Refused(ModelError),
    /// Already used: the grant was revoked with everything issued from it. The user should be notified.
    Reused(String, ModelError),
    /// There is no such grant.
    Unknown,
    /// Issued to another client; the grant is unchanged. The caller counts these: guesses must not fill the log.
    WrongClient,
}

/// Input to a rotation.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// The generation the presented token carries.
    pub generation: u32,
    /// The client's grace window, in milliseconds.
    pub grace_ms: i64,
    /// When the next refresh token expires if unused.
    pub idle_expires_at: Timestamp,
}

record! {
    redeemed_columns: Redeemed {
        grant_id: "id", user_id: "user_id", scopes: "scopes", resources: "resources", redirect_uri: "redirect_uri",
        code_challenge: "code_challenge", generation: "generation", expires_at: "expires_at",
    }
}

pub(super) use redeemed_columns;

/// The last refresh and replay of a grant that were audited.
struct RefreshAudit {
    refresh_hour: Option<i64>,
    generation: i64,
    replay_hour: Option<i64>,
}

record! {
    refresh_audit_columns: RefreshAudit {
        refresh_hour: "refresh_told_hour", generation: "refresh_told", replay_hour: "replay_told_hour",
    }
}

/// Locks the session in which a grant is created until the commit, if its user and client are enabled.
const LOCK_SESSION: &str = concat!(
    "UPDATE sessions SET user_id = user_id WHERE digest = $1 AND user_id = $2 AND expires_at > $3
       AND EXISTS (SELECT 1 FROM users u WHERE u.id = sessions.user_id AND u.disabled_at IS NULL)
       AND EXISTS (SELECT 1 FROM clients c WHERE c.id = $4 AND ",
    client_disabled_at!(),
    " IS NULL)"
);
const REDEEM: &str = concat!(
    "UPDATE grants SET generation = 1, rotated_at = $3, idle_expires_at = $4
     WHERE id = $1 AND client_id = $2 AND generation = 0 AND revoked_at IS NULL AND code_expires_at > $3
       AND EXISTS (SELECT 1 FROM users u WHERE u.id = grants.user_id AND u.disabled_at IS NULL)
     RETURNING ",
    redeemed_columns!()
);
const ROTATE: &str = concat!(
    "UPDATE grants SET generation = generation + 1, rotated_at = $3, replays = 0, idle_expires_at = $5
     WHERE id = $1 AND client_id = $2 AND generation = $4 AND revoked_at IS NULL
       AND expires_at > $3 AND idle_expires_at > $3
       AND EXISTS (SELECT 1 FROM users u WHERE u.id = grants.user_id AND u.disabled_at IS NULL)
     RETURNING ",
    redeemed_columns!(),
    ", ",
    refresh_audit_columns!()
);
const REPLAY: &str = concat!(
    "UPDATE grants SET replays = replays + 1
     WHERE id = $1 AND client_id = $2 AND generation = $3 AND generation > 1 AND rotated_at >= $4 AND replays < $5
       AND revoked_at IS NULL AND expires_at > $6
       AND EXISTS (SELECT 1 FROM users u WHERE u.id = grants.user_id AND u.disabled_at IS NULL)
     RETURNING ",
    redeemed_columns!(),
    ", ",
    refresh_audit_columns!()
);

impl Store {
    /// Stores a new grant; its code may be redeemed until it expires. Returns false and changes nothing if the session
    /// in which it was approved has ended, or its user or client was disabled.
    pub async fn insert_grant(&self, now: Timestamp, origin: Origin, grant: NewGrant) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            // The session's row stays locked until the commit. A password change deletes the sessions before it
            // revokes the grants, so it either finds this grant or leaves no session to create it in.
            let session = grant.session.text();
            if tx.execute(LOCK_SESSION, binds![&session, &grant.user_id, now, &grant.client_id]).await? == 0 {
                return Ok(false);
            }
            let id = grant.id.text();
            tx.execute(
                "INSERT INTO grants (id, user_id, client_id, scopes, resources, redirect_uri, code_challenge,
                 auth_time, created_at,
                                     code_expires_at, generation, replays, idle_expires_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $11)",
                binds![
                    &id,
                    &grant.user_id,
                    &grant.client_id,
                    &grant.scopes.to_string(),
                    &grant.resources.join(" "),
                    &grant.redirect_uri,
                    &grant.code_challenge,
                    grant.auth_time,
                    now,
                    grant.code_expires_at,
                    grant.expires_at,
                ],
            )
            .await?;
            tx.audit(now, &origin, Event::new("code.issue").user(&grant.user_id).client(&grant.client_id).object(&id))
                .await?;
            Ok(true)
        })
    }

    /// Redeems a code: changes generation 0 to 1, once. `check` receives the grant before the commit. Its refusal
    /// invalidates the code, unless it is `invalid_target`. A second redemption by the same client revokes the grant
    /// and everything issued from it (RFC 6749 §4.1.2).
    pub async fn redeem_code<C, T>(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        client_id: String,
        idle_expires_at: Timestamp,
        check: C,
    ) -> Result<Redemption<T>, Error>
    where
        C: FnOnce(&Redeemed) -> Result<T, ModelError> + Clone + Send + 'static,
        T: Send + 'static,
    {
        transaction!(self, now, |tx| {
            let won = tx.find::<Redeemed>(REDEEM, binds![&id, &client_id, now, idle_expires_at]).await?;
            let Some(redeemed) = won else { return refuse(tx, now, &origin, &id, &client_id, "code").await };
            let event = Event::new("code.redeem").user(&redeemed.user_id).client(&client_id).object(&id);
            match check(&redeemed) {
                Ok(checked) => {
                    tx.audit(now, &origin, event).await?;
                    Ok(Redemption::Redeemed(redeemed, checked))
                }
                // The client met every other condition and only failed to name the API: the code remains valid.
                Err(error) if error.code == ErrorCode::InvalidTarget => Err(Error::Refused(error)),
                Err(error) => {
                    revoke(tx, now, &id, "code refused").await?;
                    tx.audit(now, &origin, event.denied(error.description.clone())).await?;
                    Ok(Redemption::Refused(error))
                }
            }
        })
    }

    /// Rotates a refresh token: advances its generation by one, once. Within the grace window the immediate predecessor
    /// gets the same successor again; outside it, reuse revokes the whole grant (RFC 9700 §4.14.2). A refusal by
    /// `check` rolls back, so the token remains valid.
    ///
    /// # Errors
    /// [`Error::Unavailable`], or [`Error::Refused`] by `check`.
    pub async fn rotate<C, T>(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        client_id: String,
        rotation: Rotation,
        check: C,
    ) -> Result<Redemption<T>, Error>
    where
        C: FnOnce(&Redeemed) -> Result<T, ModelError> + Clone + Send + 'static,
        T: Send + 'static,
    {
        transaction!(self, now, |tx| {
            let generation = i64::from(rotation.generation);
            let mut event = "refresh";
            let presented = binds![&id, &client_id, now, generation, rotation.idle_expires_at];
            let mut won: Option<(Redeemed, RefreshAudit)> = tx.find(ROTATE, presented).await?;
            if won.is_none() && rotation.grace_ms > 0 {
                event = "refresh.replay";
                won = replay(tx, now, &id, &client_id, rotation).await?;
            }
            let Some((redeemed, audited)) = won else {
                return refuse(tx, now, &origin, &id, &client_id, "refresh token").await;
            };
            let checked = check(&redeemed)?;
            let entry = Event::new(event).user(&redeemed.user_id).client(&client_id).object(&id);
            audit_refresh(tx, now, &origin, entry, &redeemed, &audited).await?;
            Ok(Redemption::Redeemed(redeemed, checked))
        })
    }

    /// Revokes a grant of this client with everything issued from it; returns false if there is no such live grant.
    pub async fn revoke_grant(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        client_id: String,
    ) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            let found = tx
                .execute(
                    "UPDATE grants SET revoked_at = $3, revoked_because = 'revoked' WHERE id = $1
                     AND client_id = $2 AND revoked_at IS NULL",
                    binds![&id, &client_id, now],
                )
                .await?;
            if found > 0 {
                tx.touch(EntityKind::Grant, id.as_str());
                tx.audit(now, &origin, Event::new("grant.revoke").client(&client_id).object(&id)).await?;
            }
            Ok(found > 0)
        })
    }
}

/// Appends the first refresh of each hour to the audit log, with the number since the last entry, and likewise the
/// first replay. A refresh changes no permissions and is not limited in number: a row for each would let one client
/// fill the disk.
async fn audit_refresh(
    tx: &mut Tx,
    now: Timestamp,
    origin: &Origin,
    entry: Event,
    redeemed: &Redeemed,
    audited: &RefreshAudit,
) -> Result<(), Error> {
    let hour = Some(now.seconds().div_euclid(3600));
    let (is_replay, generation) = (entry.event == "refresh.replay", i64::from(redeemed.generation));
    if hour == (if is_replay { audited.replay_hour } else { audited.refresh_hour }) {
        return Ok(());
    }
    let (sql, times) = if is_replay {
        ("UPDATE grants SET replay_told_hour = $2 WHERE id = $1 AND generation = $3", 1)
    } else {
        let sql = "UPDATE grants SET refresh_told_hour = $2, refresh_told = $3 WHERE id = $1";
        (sql, generation - audited.generation)
    };
    tx.execute(sql, binds![&redeemed.grant_id, hour, generation]).await?;
    tx.audit(now, origin, Event { times, ..entry }).await
}

async fn replay(
    tx: &mut Tx,
    now: Timestamp,
    id: &str,
    client_id: &str,
    rotation: Rotation,
) -> Result<Option<(Redeemed, RefreshAudit)>, Error> {
    tx.find(
        REPLAY,
        binds![
            id,
            client_id,
            i64::from(rotation.generation) + 1,
            Timestamp(now.0 - rotation.grace_ms),
            REPLAYS_MAX,
            now
        ],
    )
    .await
}

/// No row was updated: determines why, and revokes the grant if its own client reused a code or token.
async fn refuse<T>(
    tx: &mut Tx,
    now: Timestamp,
    origin: &Origin,
    id: &str,
    client_id: &str,
    what: &'static str,
) -> Result<Redemption<T>, Error> {
    let refused =
        |why: &'static str| Ok(Redemption::Refused(ModelError::invalid_grant(format!("the {what} is {why}"))));
    const STATE: &str = "
        SELECT g.client_id, g.user_id, g.generation, g.revoked_at,
               CASE WHEN g.idle_expires_at < g.expires_at THEN g.idle_expires_at ELSE g.expires_at END, u.disabled_at
        FROM grants g JOIN users u ON u.id = g.user_id WHERE g.id = $1";
    type State = (String, String, i64, Option<Timestamp>, Timestamp, Option<Timestamp>);
    let Some(state) = tx.find::<State>(STATE, binds![id]).await? else { return Ok(Redemption::Unknown) };
    let (owner, user_id, generation, revoked_at, token_ends, user_disabled_at) = state;
    let event = |name| Event::new(name).user(&user_id).client(client_id).object(id);
    if owner != client_id {
        return Ok(Redemption::WrongClient);
    }
    if revoked_at.is_some() {
        return refused("revoked");
    }
    let used_before = if what == "code" { generation > 0 } else { token_ends > now };
    if user_disabled_at.is_some() {
        return refused("not usable: the user is disabled");
    }
    if used_before {
        revoke(tx, now, id, "reuse").await?;
        let name = if what == "code" { "code.reuse" } else { "refresh.reuse" };
        tx.audit(now, origin, event(name).denied("already used; the grant was revoked")).await?;
        return Ok(Redemption::Reused(user_id, ModelError::invalid_grant(format!("the {what} was already used"))));
    }
    refused("expired")
}

async fn revoke(tx: &mut Tx, now: Timestamp, id: &str, because: &'static str) -> Result<(), Error> {
    tx.execute(
        "UPDATE grants SET revoked_at = $2, revoked_because = $3 WHERE id = $1 AND revoked_at IS NULL",
        binds![id, now, because],
    )
    .await?;
    tx.touch(EntityKind::Grant, id);
    Ok(())
}
