//! Owns the `sessions` table, keyed by the digest of the cookie. Does not create cookies; see `http::session`.

use super::{
    Error, Store,
    around::SessionOf,
    row::{binds, column, record},
    tx::{Tx, transaction},
    users::{LOCK_ACTIVE, user_columns},
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        authentication::{Authenticated, Method, Proof},
        clock::Timestamp,
        policy::SESSIONS_LISTED,
        secret::Digest,
    },
};

/// A session to be created.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Digest of the cookie.
    pub digest: Digest,
    /// The user.
    pub user_id: String,
    /// What the sign-in was checked against: the session is created only if it still holds.
    pub proof: Proof,
    /// When it ends.
    pub expires_at: Timestamp,
    /// `User-Agent` of the browser.
    pub agent: String,
    /// The session this one replaces.
    pub replaces: Option<Digest>,
}

/// A session as listed for its user.
#[derive(Clone, Debug)]
pub struct SessionLine {
    /// Digest of the cookie.
    pub digest: Digest,
    /// When the user signed in.
    pub auth_time: Timestamp,
    /// The address it was created from.
    pub address: String,
    /// `User-Agent` of the browser.
    pub agent: String,
}

/// A session with its user.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// The signed-in user.
    pub who: Authenticated,
    /// When it ends.
    pub expires_at: Timestamp,
}

column!(Vec<Method>, |text| text.split(' ').map(Method::parse).collect(), "a session's methods");

record! {
    line_columns: SessionLine { digest: "digest", auth_time: "auth_time", address: "address", agent: "agent" }
}

const FIND: &str = concat!(
    "SELECT ",
    user_columns!(),
    ", s.amr, s.auth_time, s.expires_at FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.digest = $1"
);
const LIVE: &str = concat!(
    "SELECT ",
    line_columns!(),
    " FROM sessions WHERE user_id = $1 AND expires_at > $2 ORDER BY auth_time DESC, digest LIMIT $3"
);

impl Tx {
    /// Refuses to continue if the session has ended. The user's row stays locked until the commit. A password change
    /// locks it too, so it ends the sessions either before this check or after this transaction.
    pub(super) async fn check_session(&mut self, now: Timestamp, session: &SessionOf) -> Result<(), Error> {
        let live = "SELECT digest FROM sessions WHERE digest = $1 AND user_id = $2 AND expires_at > $3";
        if self.execute(LOCK_ACTIVE, binds![&session.user_id]).await? == 0
            || self.find::<String>(live, binds![&session.digest.text(), &session.user_id, now]).await?.is_none()
        {
            return Err(Error::SessionEnded);
        }
        Ok(())
    }

    /// Whether what a session's sign-in was checked against still holds; locks the user's row.
    async fn still_holds(&mut self, session: &NewSession) -> Result<bool, Error> {
        match &session.proof {
            Proof::Password(hash) => self.has_password(&session.user_id, hash).await,
        }
    }

    /// Stores a session in place of the one it replaces. The user's row must be locked by [`Self::still_holds`].
    async fn keep_session(&mut self, now: Timestamp, origin: &Origin, session: &NewSession) -> Result<(), Error> {
        if let Some(old) = session.replaces {
            let old = old.text();
            self.execute("DELETE FROM sessions WHERE digest = $1", binds![&old]).await?;
            self.touch(EntityKind::Session, old);
        }
        self.execute(
            "INSERT INTO sessions (digest, user_id, auth_time, expires_at, address, agent, amr)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            binds![
                &session.digest.text(),
                &session.user_id,
                now,
                session.expires_at,
                &origin.address,
                &session.agent,
                session.proof.method().as_str()
            ],
        )
        .await
        .map(drop)
    }
}

impl Store {
    /// This store, but its writes succeed only while this session of this user lasts. Otherwise they fail with
    /// [`Error::SessionEnded`].
    pub fn in_session(&self, digest: Digest, user_id: String) -> Self {
        let mut store = self.clone();
        store.around.session = Some(SessionOf { digest, user_id });
        store
    }

    /// Creates a session, ending the one it replaces. Returns false and changes nothing if the user was disabled or the
    /// password was changed since it was verified.
    pub async fn insert_session(&self, now: Timestamp, origin: Origin, session: NewSession) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            if !tx.still_holds(&session).await? {
                return Ok(false);
            }
            tx.keep_session(now, &origin, &session).await?;
            tx.audit(now, &origin, Event::new("login").user(&session.user_id)).await?;
            Ok(true)
        })
    }

    /// Sets a password chosen by its user, as [`Self::set_password`] does, and creates `session` in place of all those
    /// ended. Returns false if the password that was verified for this session is no longer the user's.
    pub async fn change_password(
        &self,
        now: Timestamp,
        origin: Origin,
        session: NewSession,
        password: String,
    ) -> Result<bool, Error> {
        self.revoke_most_grants(now, &origin, &session.user_id, None).await?;
        transaction!(self, now, |tx| {
            if !tx.still_holds(&session).await? {
                return Ok(false);
            }
            tx.put_password(now, &origin, &session.user_id, &password).await?;
            tx.keep_session(now, &origin, &session).await?;
            Ok(true)
        })
    }

    /// The session with this cookie digest, in any state.
    pub async fn find_session(&self, digest: &Digest) -> Result<Option<SessionRecord>, Error> {
        let found = self.find(FIND, binds![&digest.text()]).await?;
        Ok(found.map(|(user, methods, at, expires_at)| SessionRecord {
            who: Authenticated { user, methods, at },
            expires_at,
        }))
    }

    /// Ends a session.
    pub async fn delete_session(
        &self,
        now: Timestamp,
        origin: Origin,
        digest: Digest,
        user_id: String,
    ) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            let digest = digest.text();
            tx.execute("DELETE FROM sessions WHERE digest = $1", binds![&digest]).await?;
            tx.touch(EntityKind::Session, digest);
            tx.audit(now, &origin, Event::new("logout").user(&user_id)).await
        })
    }

    /// A user's live sessions, newest first; at most 100.
    pub async fn list_sessions(&self, now: Timestamp, user_id: &str) -> Result<Vec<SessionLine>, Error> {
        self.list(LIVE, binds![user_id, now, SESSIONS_LISTED]).await
    }

    /// Ends one session of a user, or all except `own` if none is given. Returns false if there was nothing to end.
    pub async fn end_sessions(
        &self,
        now: Timestamp,
        origin: Origin,
        user_id: String,
        own: Digest,
        only: Option<Digest>,
    ) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            let (own, only) = (own.text(), only.map(|digest| digest.text()));
            let ended: Vec<String> = tx
                .list(
                    "DELETE FROM sessions WHERE user_id = $1 AND digest <> $2 AND ($3 IS NULL OR digest = $3)
                     RETURNING digest",
                    binds![&user_id, &own, &only],
                )
                .await?;
            if ended.is_empty() {
                return Ok(false);
            }
            let times = i64::try_from(ended.len()).unwrap_or(i64::MAX);
            for session in ended {
                tx.touch(EntityKind::Session, session);
            }
            let event = Event::new("session.end").user(&user_id);
            tx.audit(now, &origin, Event { times, ..event }).await?;
            Ok(true)
        })
    }
}
