//! Owns `grantd key`. Does not make secrets; see `engine::apikey`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Global, admin::Admin, import::Import, output};
use crate::model::{error::Error, span};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create an API key; it is printed once
    Create(Create),
    /// List the keys of all users, with their owners, or of one user
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
    /// Address of the owner; with --server your own if left out
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// What it is for
    #[arg(long, default_value = "API key")]
    name: String,
    /// What it may do; may repeat; "all" means every scope of your APIs, not grantd's own
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// The project it belongs to, by its id; `project list` shows them
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// What it is for: live, test, or another name the deployment configures [default: the first of them]
    #[arg(long)]
    environment: Option<String>,
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
    /// Address of the owner [default: everybody's, or with --server all you may see]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
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
    /// Whether it goes by the management API.
    pub(super) fn is_remote(&self) -> bool {
        !matches!(self, Self::Import(_))
    }

    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::List(of) => of.run(global).await,
            Self::Revoke(key) => key.run(global).await,
            Self::Rotate(rotate) => {
                let overlap = span::seconds(&rotate.overlap)?;
                replace(global, &format!("/keys/{}/rotate", rotate.id), json!({ "overlap": overlap })).await
            }
            Self::Import(import) => import.run(global).await,
            Self::Regenerate(key) => replace(global, &format!("/keys/{}/regenerate", key.id), json!({})).await,
        }
    }
}

impl Create {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let body = json!({
            "user": self.user,
            "name": self.name,
            "scopes": self.scopes,
            "project": self.project,
            "environment": self.environment,
            "networks": self.networks,
            "plan": self.plan,
            "expires_in": self.expires_in.as_deref().map(span::seconds).transpose()?,
        });
        let made = Admin::open(global).await?.post("/keys", body).await?;
        output::answer(global, &made, &["id", "key", "scopes", "expires_at"])
    }
}

impl Of {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        let mut keys = admin.list("/keys", &[("user", self.user.as_deref())]).await?;
        // Live ones first, and newest first among each.
        keys.items.sort_by_key(|key| key["status"] != "active");
        let mut members = vec!["id", "name", "user", "hint", "scopes", "status", "last_used_at", "expires_at"];
        if self.user.is_some() {
            members.retain(|member| *member != "user");
        }
        output::list(global, "keys", &keys, &members)
    }
}

impl Named {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let revoked = Admin::open(global).await?.post(&format!("/keys/{}/revoke", self.id), json!({})).await?;
        output::answer(global, &revoked, &["id", "status", "revoked_at"])
    }
}

async fn replace(global: &Global, path: &str, how: Value) -> Result<(), Error> {
    let made = Admin::open(global).await?.post(path, how).await?;
    output::answer(global, &made, &["id", "key", "old_ends_at"])
}
