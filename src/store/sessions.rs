//! Owns the `sessions` table, keyed by the digest of the cookie. Does not make cookies; see `http::session`.

use super::{Error, Store, row::binds, users};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        secret::Digest,
        user::User,
    },
};

/// A session to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Of the cookie.
    pub digest: Digest,
    /// Whose.
    pub user_id: String,
    /// The PHC string that the password was checked against: the session begins only if it is still the user's.
    pub password: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Browser's own words.
    pub agent: String,
    /// The session this one replaces.
    pub replaces: Option<Digest>,
}

/// A session with its user.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// Who is signed in.
    pub user: User,
    /// When they signed in.
    pub auth_time: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Store {
    /// Begins a session, ending the one it replaces. False if the user's password was changed or the user was disabled since
    /// the password was checked: then nothing has happened.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn insert_session(&self, now: Timestamp, origin: Origin, session: NewSession) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                if !tx.has_password(&session.user_id, &session.password).await? {
                    return Ok(false);
                }
                if let Some(old) = session.replaces {
                    let old = old.text();
                    tx.execute("DELETE FROM sessions WHERE digest = $1", binds![&old]).await?;
                    tx.touch(EntityKind::Session, old);
                }
                tx.execute(
                    "INSERT INTO sessions (digest, user_id, auth_time, expires_at, address, agent) VALUES ($1, $2, $3, $4, $5, $6)",
                    binds![&session.digest.text(), &session.user_id, now, session.expires_at, &origin.address, &session.agent],
                )
                .await?;
                tx.audit(now, &origin, Event::new("login").user(&session.user_id)).await?;
                Ok(true)
            })
        })
        .await
    }

    /// The session of this cookie, whatever its state.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_session(&self, digest: &Digest) -> Result<Option<SessionRecord>, Error> {
        let row = self
            .row(
                "SELECT u.id, u.email, u.name, u.plan, u.admin, u.disabled_at, s.auth_time, s.expires_at
                 FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.digest = $1",
                binds![&digest.text()],
            )
            .await?;
        row.map(|mut row| {
            Ok(SessionRecord { user: users::user(&mut row)?, auth_time: row.at(6)?, expires_at: row.at(7)? })
        })
        .transpose()
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete_session(
        &self,
        now: Timestamp,
        origin: Origin,
        digest: Digest,
        user_id: String,
    ) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let digest = digest.text();
                tx.execute("DELETE FROM sessions WHERE digest = $1", binds![&digest]).await?;
                tx.touch(EntityKind::Session, digest);
                tx.audit(now, &origin, Event::new("logout").user(&user_id)).await
            })
        })
        .await
    }
}
