//! Owns `grantd key`. Does not make secrets; see `engine::apikey`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, import::Import, open, output, project::no_project, user::no_user};
use crate::{
    engine::apikey::{self, NewKey, span_seconds},
    model::{email, error::Error, network::Networks},
    store::Replacement,
};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make an API key; it is printed once
    Create(Create),
    /// List a user's keys
    List(Of),
    /// Revoke a key at once
    Revoke(Named),
    /// Make a new key like this one; the old one ends after --overlap
    Rotate(Rotate),
    /// Make a new key like this one; the old one ends at once
    Regenerate(Named),
    Import(Import),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Address of the owner
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// What it is for
    #[arg(long, default_value = "API key")]
    name: String,
    /// What it may do; may repeat; "all" means every scope there is
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// The project it belongs to, by its id; `project list` shows them
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// What it is for: live, test, or another name the deployment configures
    #[arg(long, default_value = "live")]
    environment: String,
    /// A network it may be used from, such as 192.0.2.0/24; may repeat [default: any]
    #[arg(long = "allow", value_name = "CIDR")]
    networks: Vec<String>,
    /// A plan of its own [default: its project's or owner's]
    #[arg(long)]
    plan: Option<String>,
    /// When it ends by itself, such as 90d [default: never]
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<String>,
}

#[derive(Debug, Args)]
pub struct Of {
    /// Address of the owner
    #[arg(long, value_name = "EMAIL")]
    user: String,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The key's id, as `key list` shows it
    id: String,
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// The key's id, as `key list` shows it
    id: String,
    /// How long the old key still works, such as 24h; 0s ends it at once
    #[arg(long, default_value = "24h")]
    overlap: String,
}

impl KeyCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::List(of) => of.run(global).await,
            Self::Revoke(key) => key.run(global).await,
            Self::Rotate(rotate) => {
                let overlap = span_seconds(&rotate.overlap)?;
                replace(global, rotate.id, Some(overlap).filter(|overlap| *overlap > 0)).await
            }
            Self::Import(import) => import.run(global).await,
            Self::Regenerate(key) => replace(global, key.id, None).await,
        }
    }
}

impl Create {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        let (user, _) = opened.store.find_user(&email::normalize(&self.user)?).await?.ok_or_else(no_user)?;
        let project = match &self.project {
            Some(id) => Some(opened.store.find_project(id).await?.ok_or_else(no_project)?),
            None => None,
        };
        let scopes = opened.store.catalog().await?.choose(&self.scopes)?;
        let new = NewKey {
            environment: self.environment,
            expires_in_seconds: self.expires_in.as_deref().map(span_seconds).transpose()?,
            project,
            plan: self.plan,
            networks: Networks::parse(&self.networks.join(" "))?,
            ..NewKey::of(&user.id, &self.name, scopes)
        };
        let (secret, key) = apikey::make(opened.now, &opened.config, new)?;
        let made = [
            ("id", json!(key.id)),
            ("key", json!(secret.expose())),
            ("scope", json!(key.scopes.to_string())),
            ("expires_at", json!(key.expires_at.map(|end| end.rfc3339()))),
        ];
        opened.store.insert_key(opened.now, open::origin(), secret.digest(), key).await?;
        output::one(global, &made)
    }
}

impl Of {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        let (user, _) = opened.store.find_user(&email::normalize(&self.user)?).await?.ok_or_else(no_user)?;
        let rows: Vec<_> = opened
            .store
            .list_keys(opened.now, &user.id, None)
            .await?
            .into_iter()
            .map(|key| {
                vec![
                    json!(key.id),
                    json!(key.name),
                    json!(format!("{}…{}", key.prefix, key.hint)),
                    json!(key.scopes.to_string()),
                    json!(key.status(opened.now).as_str()),
                    json!(key.created_at.rfc3339()),
                    json!(key.last_used_at.map(|at| at.rfc3339())),
                    json!(key.expires_at.map(|at| at.rfc3339())),
                ]
            })
            .collect();
        output::many(
            global,
            "keys",
            &["id", "name", "key", "scope", "status", "created_at", "last_used_at", "expires_at"],
            &rows,
        )
    }
}

impl Named {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        if !opened.store.revoke_key(opened.now, open::origin(), self.id.clone(), None).await? {
            return Err(no_key());
        }
        output::one(global, &[("id", json!(self.id)), ("revoked", json!(true))])
    }
}

async fn replace(global: &Global, id: String, overlap_seconds: Option<i64>) -> Result<(), Error> {
    let opened = open::store(global).await?;
    let old = opened.store.key_by_id(&id).await?.ok_or_else(no_key)?;
    let project = match &old.project_id {
        Some(project) => opened.store.find_project(project).await?,
        None => None,
    };
    let (secret, new) = apikey::make(opened.now, &opened.config, NewKey::like(&old, project))?;
    let old_ends_at = overlap_seconds.map(|seconds| opened.now.plus_seconds(seconds));
    let made = [
        ("id", json!(new.id)),
        ("key", json!(secret.expose())),
        ("old_ends_at", json!(old_ends_at.unwrap_or(opened.now).rfc3339())),
    ];
    let replacement = Replacement { old_id: id, old_ends_at, user_id: None, digest: secret.digest(), new };
    if !opened.store.replace_key(opened.now, open::origin(), replacement).await? {
        return Err(Error::invalid_request("this key has ended; make a new one with `grantd key create`"));
    }
    output::one(global, &made)
}

fn no_key() -> Error {
    Error::invalid_request("there is no such key; `grantd key list --user EMAIL` shows them")
}
