//! Owns `grantd user`.

use std::io::Read;

use axum::http::Method;
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    Global,
    admin::{Admin, sort_by},
    context, output,
};
use crate::{
    engine::{
        new_password::{NewPassword, PasswordOwner},
        password::Passwords,
    },
    model::{email, error::Error, policy, secret},
};

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Create a user; without --password-stdin, a random password is printed once
    Create(Create),
    /// List users
    List,
    /// Disable a user; sessions, keys and tokens stop working immediately
    Disable(Named),
    /// Re-enable a user
    Enable(Named),
    /// Set a new password; this ends all sessions and revokes every app's access
    Password(SetPassword),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Email address to sign in with
    #[arg(long)]
    email: String,
    /// Display name [default: the local part of the address]
    #[arg(long)]
    name: Option<String>,
    /// Plan
    #[arg(long, default_value = policy::PLAN)]
    plan: String,
    /// Make the user an administrator
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
    /// Whether it uses the management API.
    pub(super) fn is_remote(&self) -> bool {
        !matches!(self, Self::Password(_))
    }

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
        let mut body = json!({ "email": self.email, "name": self.name, "plan": self.plan, "admin": self.admin });
        if self.password_stdin {
            body["password"] = typed()?.expose_secret().into();
        }
        let made = Admin::open(global).await?.post("/users", body).await?;
        output::answer(global, &made, &["id", "email", "password"])
    }
}

impl Named {
    async fn set_active(self, global: &Global, active: bool) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        let found = admin.list("/users", &[("email", Some(&self.email))]).await?;
        let id = found.items.first().and_then(|user| user["id"].as_str()).ok_or_else(|| Error::no_such("user"))?;
        let changed = admin.send(Method::PATCH, &format!("/users/{id}"), &json!({ "active": active })).await?;
        output::answer(global, &changed, &["id", "email", "active"])
    }
}

impl SetPassword {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = context::store(global).await?;
        let (user, _) = opened
            .store
            .find_user_by_email(&email::normalize(&self.email)?)
            .await?
            .ok_or_else(|| Error::no_such("user"))?;
        let random = (!self.password_stdin).then(|| secret::random_base62(20));
        let password = random.clone().map_or_else(typed, |random| Ok(SecretString::from(random)))?;
        let whose = PasswordOwner { issuer: &opened.config.issuer, email: &user.email, name: &user.name };
        let hash = Passwords::default().hash(NewPassword::accept(&password, whose)?).await?;
        opened.store.set_password(opened.now, context::origin(), user.id.clone(), hash).await?;
        output::one(global, &[("id", json!(user.id)), ("password", json!(random))])
    }
}

async fn list(global: &Global) -> Result<(), Error> {
    let mut users = Admin::open(global).await?.list("/users", &[]).await?;
    sort_by(&mut users.items, "email");
    output::list(global, "users", &users, &["id", "email", "name", "plan", "admin", "active"])
}

/// The password from standard input.
fn typed() -> Result<SecretString, Error> {
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .map_err(|_| Error::invalid_request("the password is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(SecretString::from(text.strip_suffix('\r').unwrap_or(text)))
}
