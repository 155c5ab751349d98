//! Owns `grantd key`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Global, admin::Admin, import::Import, output};
use crate::model::{error::Error, span};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create an API key and print it once
    Create(Create),
    /// List keys of all users or of one user
    List(Of),
    /// Revoke a key immediately
    Revoke(Named),
    /// Replace a key by a new one like it; the old one stops working after --overlap
    Rotate(Rotate),
    /// Replace a key by a new one like it; the old one stops working immediately
    Regenerate(Named),
    Import(Import),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Email address of the owner [default with --server: yours]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// What the key is for
    #[arg(long, default_value = "API key")]
    name: String,
    /// Scope; may be repeated; "all" means every scope of your APIs, but not grantd's own. A key with one of grantd's own is
    /// accepted by the management API alone; its other scopes are for the keys it creates
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// Id of the key's project; see `project list`
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Environment: live, test, or another configured name [default: the first configured]
    #[arg(long)]
    environment: Option<String>,
    /// Allowed network, such as 192.0.2.0/24; may be repeated [default: any]
    #[arg(long = "allow", value_name = "CIDR")]
    networks: Vec<String>,
    /// The key's own plan [default: its project's or owner's]
    #[arg(long)]
    plan: Option<String>,
    /// Expire after this time, such as 90d [default: as its project says, else never]
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<String>,
}

#[derive(Debug, Args)]
pub struct Of {
    /// Email address of the owner [default: all users, or with --server all you may see]
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
    /// How long the old key keeps working, such as 24h; 0s stops it immediately
    #[arg(long, default_value = "24h")]
    overlap: String,
}

impl KeyCommand {
    /// Whether it uses the management API.
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
        // Active keys first, then newest first.
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
