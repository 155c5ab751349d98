//! Owns the `users` table. Does not check passwords; see `engine::password`.

use super::{
    Error, Store,
    row::{binds, is_unset, record},
    tx::{Tx, transaction},
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        clock::Timestamp,
        error::Error as ModelError,
        secret::new_id,
        user::User,
    },
};

record! {
    user_columns: User {
        id: "u.id", email: "u.email", name: "u.name", plan: "u.plan", admin: "u.admin",
        active: "u.disabled_at" => is_unset,
    }
}
pub(super) use user_columns;

const FIND: &str = concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = $1");
const FIND_BY_EMAIL: &str = concat!("SELECT ", user_columns!(), ", u.password FROM users u WHERE u.email = $1");
const ALL: &str = concat!("SELECT ", user_columns!(), " FROM users u ORDER BY u.email LIMIT $1");
/// Locks a user's row until the commit.
pub(super) const LOCK_ACTIVE: &str = "UPDATE users SET name = name WHERE id = $1 AND disabled_at IS NULL";
const LOCK_WITH_PASSWORD: &str = "UPDATE users SET name = name WHERE id = $1 AND password = $2 AND disabled_at IS NULL";

/// A user to be created.
#[derive(Clone)]
pub struct NewUser {
    /// In normal form.
    pub email: String,
    /// Display name.
    pub name: String,
    /// PHC string; `None` means that nobody can sign in as this user.
    pub password: Option<String>,
    /// Name of the plan.
    pub plan: String,
    /// Whether the user is an administrator.
    pub admin: bool,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewUser(REDACTED)")
    }
}

impl Tx {
    /// Refuses to create anything for an unknown or disabled user. The user's row stays locked until the commit:
    /// disabling the user, or counting what the user owns, happens before or after this whole transaction.
    pub(super) async fn check_user(&mut self, id: &str) -> Result<(), Error> {
        match self.execute(LOCK_ACTIVE, binds![id]).await? {
            0 => Err(ModelError::invalid_request("the user does not exist or is disabled").into()),
            _ => Ok(()),
        }
    }

    /// Whether this is still the password of a user who is not disabled; locks the row as [`Self::check_user`] does.
    pub(super) async fn has_password(&mut self, id: &str, hash: &str) -> Result<bool, Error> {
        Ok(self.execute(LOCK_WITH_PASSWORD, binds![id, hash]).await? > 0)
    }

    /// Sets the password, then ends the user's sessions and grants, in this order: see [`Store::insert_grant`].
    pub(super) async fn put_password(
        &mut self,
        now: Timestamp,
        origin: &Origin,
        id: &str,
        password: &str,
    ) -> Result<bool, Error> {
        if self.execute("UPDATE users SET password = $2 WHERE id = $1", binds![id, password]).await? == 0 {
            return Ok(false);
        }
        self.touch(EntityKind::User, id);
        self.execute("DELETE FROM sessions WHERE user_id = $1", binds![id]).await?;
        self.execute(
            "UPDATE grants SET revoked_at = $2, revoked_because = 'password' WHERE user_id = $1
             AND revoked_at IS NULL",
            binds![id, now],
        )
        .await?;
        self.audit(now, origin, Event::new("user.password").user(id)).await?;
        Ok(true)
    }
}

impl Store {
    /// Creates a user and returns its id. An address that is taken is a conflict.
    pub async fn insert_user(&self, now: Timestamp, origin: Origin, user: NewUser) -> Result<String, Error> {
        self.insert_user_as(now, origin, new_id("user"), user).await
    }

    /// As [`Self::insert_user`], with a given id.
    pub async fn insert_user_as(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        user: NewUser,
    ) -> Result<String, Error> {
        transaction!(self, now, |tx| {
            tx.check_plan(Some(&user.plan)).await?;
            tx.execute(
                "INSERT INTO users (id, email, name, password, plan, admin, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                binds![&id, &user.email, &user.name, &user.password, &user.plan, user.admin, now],
            )
            .await?;
            tx.touch(EntityKind::User, id.as_str());
            tx.audit(now, &origin, Event::new("user.create").user(&id)).await?;
            Ok(id)
        })
    }

    /// The user with this address, and the stored password.
    pub async fn find_user_by_email(&self, email: &str) -> Result<Option<(User, Option<String>)>, Error> {
        self.find(FIND_BY_EMAIL, binds![email]).await
    }

    /// The user with this id.
    pub async fn find_user(&self, id: &str) -> Result<Option<User>, Error> {
        self.find(FIND, binds![id]).await
    }

    /// Up to `limit` users, sorted by address.
    pub async fn list_users(&self, limit: i64) -> Result<Vec<User>, Error> {
        self.list(ALL, binds![limit]).await
    }

    /// Changes a user's name or plan; returns false if there is no such user.
    pub async fn update_user(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        name: Option<String>,
        plan: Option<String>,
    ) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            tx.check_plan(plan.as_deref()).await?;
            let found = tx
                .execute(
                    "UPDATE users SET name = COALESCE($2, name), plan = COALESCE($3, plan) WHERE id = $1",
                    binds![&id, &name, &plan],
                )
                .await?;
            if found > 0 {
                tx.touch(EntityKind::User, id.as_str());
                tx.audit(now, &origin, Event::new("user.update").user(&id)).await?;
            }
            Ok(found > 0)
        })
    }

    /// Disables or enables a user; returns false if there is none. It applies to all of the user's credentials at once.
    pub async fn set_user_active(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        active: bool,
    ) -> Result<bool, Error> {
        transaction!(self, now, |tx| {
            let disabled_at = (!active).then_some(now);
            let found =
                tx.execute("UPDATE users SET disabled_at = $2 WHERE id = $1", binds![&id, disabled_at]).await? > 0;
            if found {
                tx.touch(EntityKind::User, id.as_str());
                tx.execute("DELETE FROM sessions WHERE user_id = $1", binds![&id]).await?;
                tx.audit(now, &origin, Event::new(if active { "user.enable" } else { "user.disable" }).user(&id))
                    .await?;
            }
            Ok(found)
        })
    }

    /// Sets the password and ends every session and every grant of the user; returns false if there is no such user.
    pub async fn set_password(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        password: String,
    ) -> Result<bool, Error> {
        self.revoke_most_grants(now, &origin, &id, None).await?;
        transaction!(self, now, |tx| tx.put_password(now, &origin, &id, &password).await)
    }
}
