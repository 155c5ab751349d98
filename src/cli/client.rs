//! Owns `grantd client`.

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Global,
    admin::{Admin, sort_by},
    output,
};
use crate::model::{
    client::{AuthMethod, ClientType, GrantType},
    error::Error,
    span,
};

/// Maximum number of clients listed.
const LIST_MAX: usize = 1000;
/// Longest grace window, in seconds.
const GRACE_MAX: i64 = 60;
/// Default grace window, in seconds.
const GRACE: i64 = 10;

#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Register an OAuth client and print its secret once
    Create(Create),
    /// List clients
    List,
    /// Create a new secret; the old ones stop working after --overlap
    RotateSecret(RotateSecret),
    /// Disable a client; its tokens stop working immediately
    Disable(Named),
    /// Re-enable a client
    Enable(Named),
    /// Delete a client and everything issued to it
    Delete(Named),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Name shown on the consent page
    #[arg(long)]
    name: String,
    /// Redirect URI: https, or http on loopback; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Allowed scope; may be repeated [default: every current scope of your APIs]
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// Client type: whether it can keep a secret
    #[arg(long = "type", value_enum, default_value_t = ClientType::Confidential)]
    kind: ClientType,
    /// Allowed grant type; may be repeated [default: authorization_code and refresh_token]
    #[arg(long = "grant-type", value_enum)]
    grant_types: Vec<GrantType>,
    /// Client authentication method [default: client_secret_basic or client_secret_post]
    #[arg(long, value_enum)]
    auth_method: Option<AuthMethod>,
    /// Treat it as your own app: users are not asked for consent
    #[arg(long)]
    first_party: bool,
    /// Do not require PKCE for this confidential client
    #[arg(long)]
    without_pkce: bool,
    /// Seconds in which a repeated refresh gets the same new token again; 0 turns it off
    #[arg(long, default_value_t = GRACE, value_parser = clap::value_parser!(i64).range(0..=GRACE_MAX))]
    refresh_grace: i64,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The client's id
    client_id: String,
}

#[derive(Debug, Args)]
pub struct RotateSecret {
    /// The client's id
    client_id: String,
    /// How long the old secrets keep working, such as 24h; 0s stops them immediately
    #[arg(long, default_value = "24h")]
    overlap: String,
}

impl ClientCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::List => list(global).await,
            Self::RotateSecret(rotate) => rotate.run(global).await,
            Self::Disable(client) => client.set_active(global, false).await,
            Self::Enable(client) => client.set_active(global, true).await,
            Self::Delete(client) => client.delete(global).await,
        }
    }
}

impl Create {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let mut body = json!({
            "name": self.name,
            "type": self.kind.as_str(),
            "redirect_uris": self.redirect_uris,
            "scopes": if self.scopes.is_empty() { vec!["all".to_owned()] } else { self.scopes },
        });
        // Only what was given: the other members are for administrators.
        if !self.grant_types.is_empty() {
            body["grant_types"] = self.grant_types.iter().map(|grant| grant.as_str()).collect();
        }
        if let Some(method) = self.auth_method {
            body["auth_method"] = method.as_str().into();
        }
        if self.first_party {
            body["first_party"] = true.into();
        }
        if self.without_pkce {
            body["require_pkce"] = false.into();
        }
        if self.refresh_grace != GRACE {
            body["refresh_grace"] = self.refresh_grace.into();
        }
        let made = Admin::open(global).await?.post("/clients", body).await?;
        output::answer(global, &made, &["id", "client_secret", "scopes"])
    }
}

impl Named {
    async fn set_active(self, global: &Global, active: bool) -> Result<(), Error> {
        let path = format!("/clients/{}", self.client_id);
        let changed = Admin::open(global).await?.send(Method::PATCH, &path, &json!({ "active": active })).await?;
        output::answer(global, &changed, &["id", "active"])
    }

    async fn delete(self, global: &Global) -> Result<(), Error> {
        let path = format!("/clients/{}", self.client_id);
        Admin::open(global).await?.send(Method::DELETE, &path, &Value::Null).await?;
        output::one(global, &[("id", json!(self.client_id)), ("deleted", json!(true))])
    }
}

impl RotateSecret {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let how = json!({ "overlap": span::seconds(&self.overlap)? });
        let made = Admin::open(global).await?.post(&format!("/clients/{}/secret", self.client_id), how).await?;
        output::answer(global, &made, &["id", "client_secret", "others_end_at"])
    }
}

async fn list(global: &Global) -> Result<(), Error> {
    let mut clients = Admin::open(global).await?.list("/clients", &[], LIST_MAX).await?;
    sort_by(&mut clients.items, "name");
    output::list(global, "clients", &clients, &["id", "name", "type", "redirect_uris", "scopes", "active"])
}
