//! Owns operations on users, for any actor: create, change, disable. Does not hash passwords; see `password`.

use secrecy::SecretString;

use super::{
    Along, Engine,
    attenuation::Attenuation,
    new_password::{NewPassword, PasswordOwner},
};
use crate::{
    model::{
        audit::Act,
        email,
        error::{Error, ErrorCode},
        secret::{new_id, random_base62},
        text,
        user::User,
    },
    store::{self, NewUser},
};

/// A user to create.
#[derive(Debug)]
pub struct CreateUser {
    /// E-mail address for sign-in.
    pub email: String,
    /// Display name; by default, the part of the address before the @.
    pub name: Option<String>,
    /// Random by default.
    pub password: Option<SecretString>,
    /// Name of the plan; `free` by default.
    pub plan: Option<String>,
    /// Whether the user is an administrator; only the operator may set it.
    pub admin: bool,
}

/// A created user.
#[derive(Debug)]
pub struct CreatedUser {
    /// The user.
    pub user: User,
    /// The password if it is random, to be shown once.
    pub password: Option<SecretString>,
}

/// Changes to a user; absent values stay unchanged.
#[derive(Debug, Default)]
pub struct UserUpdate {
    /// Display name.
    pub name: Option<String>,
    /// Name of the plan.
    pub plan: Option<String>,
    /// Whether the user is enabled; disabling stops sessions, keys and tokens at once.
    pub active: Option<bool>,
}

/// Creates a user.
///
/// # Errors
/// `invalid_request`; `forbidden` if an actor other than the operator sets `admin`; `conflict` if the address is taken.
pub async fn create(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    new: CreateUser,
    along: impl FnOnce(&CreatedUser) -> Along,
) -> Result<CreatedUser, Error> {
    if new.admin && !by.is_operator() {
        let words = "administrators can only be created on the server, with `grantd user create --admin`";
        return Err(Error::new(ErrorCode::Forbidden, words));
    }
    by.unbounded(engine.config, "the password of a user")?;
    let email = email::normalize(&new.email)?;
    let name = new.name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let name = text::name("the name", &name)?;
    let (password, shown) = match new.password {
        Some(password) => (password, None),
        None => {
            let random = SecretString::from(random_base62(20));
            (random.clone(), Some(random))
        }
    };
    let whose = PasswordOwner { issuer: &engine.config.issuer, email: &email, name: &name };
    let password = engine.passwords.hash(NewPassword::accept(&password, whose)?).await?;
    let plan = new.plan.unwrap_or_else(|| "free".to_owned());
    let user = User { id: new_id("user"), email, name, plan, admin: new.admin, active: true };
    let created = CreatedUser { user: user.clone(), password: shown };
    let store = engine.store.storing(along(&created)?);
    let User { id, email, name, plan, admin, .. } = user;
    let new = NewUser { email, name, password: Some(password), plan, admin };
    store.insert_user_as(act.now, act.origin, id, new).await.map_err(|error| match error {
        store::Error::Conflict => Error::new(ErrorCode::Conflict, "a user with this email address already exists"),
        error => error.into(),
    })?;
    Ok(created)
}

/// Changes a user, disables it or enables it again. `None` if there is no such user.
///
/// # Errors
/// `invalid_request`; `conflict` for users who would disable themselves.
pub async fn update(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    id: &str,
    to: UserUpdate,
) -> Result<Option<User>, Error> {
    if to.active == Some(false) && by.is_user(id) {
        return Err(Error::new(ErrorCode::Conflict, "you cannot disable your own account"));
    }
    let name = to.name.map(|name| text::name("the name", &name)).transpose()?;
    let Act { now, origin } = act;
    if (name.is_some() || to.plan.is_some())
        && !engine.store.update_user(now, origin.clone(), id.to_owned(), name, to.plan).await?
    {
        return Ok(None);
    }
    if let Some(active) = to.active
        && !engine.store.set_user_active(now, origin, id.to_owned(), active).await?
    {
        return Ok(None);
    }
    Ok(engine.store.find_user(id).await?)
}
