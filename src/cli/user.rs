//! Owns `grantd user`. Does not hash; see `engine::password`.

use std::io::Read;

use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;

use super::{Global, open, output};
use crate::{
    engine::password::Passwords,
    model::{email, error::Error, secret, text},
    store::NewUser,
};

/// Most users listed.
const LIST_MAX: i64 = 1000;

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user; without --password-stdin a random password is printed once
    Create(Create),
    /// List users
    List,
    /// Disable a user: sessions, keys and tokens stop at once
    Disable(Named),
    /// Enable a user again
    Enable(Named),
    /// Set a new password; ends every session and every app's access
    Password(SetPassword),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Address to sign in with
    #[arg(long)]
    email: String,
    /// Name to show (default: what stands before the @)
    #[arg(long)]
    name: Option<String>,
    /// Name of the plan
    #[arg(long, default_value = "free")]
    plan: String,
    /// May administer this server
    #[arg(long)]
    admin: bool,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub struct Named {
    /// Address of the user
    #[arg(long)]
    email: String,
}

#[derive(Debug, Args)]
pub struct SetPassword {
    /// Address of the user
    #[arg(long)]
    email: String,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

impl UserCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::List => list(global).await,
            Self::Disable(user) => user.set_active(global, false).await,
            Self::Enable(user) => user.set_active(global, true).await,
            Self::Password(password) => password.run(global).await,
        }
    }
}

impl Create {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        let email = email::normalize(&self.email)?;
        let name = self.name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
        let (password, shown) = password(self.password_stdin)?;
        let user = NewUser {
            name: text::name("the name", &name)?,
            password: Some(Passwords::default().hash(password).await?),
            plan: self.plan,
            admin: self.admin,
            email: email.clone(),
        };
        let id = opened
            .store
            .insert_user(opened.now, open::origin(), user)
            .await
            .map_err(|error| taken(error, "a user with this address"))?;
        output::one(global, &[("id", json!(id)), ("email", json!(email)), ("password", json!(shown))])
    }
}

impl Named {
    async fn set_active(self, global: &Global, active: bool) -> Result<(), Error> {
        let opened = open::store(global).await?;
        let (user, _) = opened.store.find_user(&email::normalize(&self.email)?).await?.ok_or_else(no_user)?;
        opened.store.set_user_active(opened.now, open::origin(), user.id.clone(), active).await?;
        output::one(global, &[("id", json!(user.id)), ("active", json!(active))])
    }
}

impl SetPassword {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        let (user, _) = opened.store.find_user(&email::normalize(&self.email)?).await?.ok_or_else(no_user)?;
        let (password, shown) = password(self.password_stdin)?;
        let hash = Passwords::default().hash(password).await?;
        opened.store.set_password(opened.now, open::origin(), user.id.clone(), hash).await?;
        output::one(global, &[("id", json!(user.id)), ("password", json!(shown))])
    }
}

async fn list(global: &Global) -> Result<(), Error> {
    let opened = open::store(global).await?;
    let rows: Vec<_> = opened
        .store
        .list_users(LIST_MAX)
        .await?
        .into_iter()
        .map(|user| {
            vec![
                json!(user.id),
                json!(user.email),
                json!(user.name),
                json!(user.plan),
                json!(user.admin),
                json!(user.active),
            ]
        })
        .collect();
    output::many(global, "users", &["id", "email", "name", "plan", "admin", "active"], &rows)
}

/// The password from standard input, or a random one that is shown once.
fn password(from_stdin: bool) -> Result<(SecretString, Option<String>), Error> {
    if !from_stdin {
        let random = secret::random_base62(20);
        return Ok((SecretString::from(random.clone()), Some(random)));
    }
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .map_err(|_| Error::invalid_request("the password is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok((SecretString::from(text.strip_suffix('\r').unwrap_or(text)), None))
}

pub fn no_user() -> Error {
    Error::invalid_request("there is no user with this address; `grantd user list` shows them")
}

/// Words for a value that must be unique and is not.
pub fn taken(error: crate::store::Error, what: &str) -> Error {
    match error {
        crate::store::Error::Conflict => Error::invalid_request(format!("{what} exists already")),
        error => error.into(),
    }
}
