//! Owns `grantd client`. Does not check redirect URIs; see `model::redirect_uri`.

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
    policy::{REFRESH_GRACE, REFRESH_GRACE_MAX},
    span,
};

#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Register an OAuth client; its secret is printed once
    Create(Create),
    /// List clients
    List,
    /// Make a new secret; the old ones end after --overlap
    RotateSecret(RotateSecret),
    /// Disable a client: its tokens stop at once
    Disable(Named),
    /// Enable a client again
    Enable(Named),
    /// Delete a client with everything issued to it
    Delete(Named),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Name to show on the consent page
    #[arg(long)]
    name: String,
    /// Where codes may go: https, or http on loopback
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// A scope it may ask for; may repeat [default: every scope of your APIs there is now]
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// Whether it can keep a secret
    #[arg(long = "type", value_enum, default_value_t = ClientType::Confidential)]
    kind: ClientType,
    /// What it may do at the token endpoint; may repeat [default: authorization_code and refresh_token]
    #[arg(long = "grant-type", value_enum)]
    grant_types: Vec<GrantType>,
    /// The one way it proves itself [default: client_secret_basic or client_secret_post]
    #[arg(long, value_enum)]
    auth_method: Option<AuthMethod>,
    /// The operator's own app: consent is not asked
    #[arg(long)]
    first_party: bool,
    /// Do not require PKCE for this confidential client
    #[arg(long)]
    without_pkce: bool,
    /// Seconds in which a repeated refresh gets the same successor again; 0 turns it off
    #[arg(long, default_value_t = REFRESH_GRACE, value_parser = clap::value_parser!(i64).range(0..=REFRESH_GRACE_MAX))]
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
    /// How long the old secrets still work, such as 24h; 0s ends them at once
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
        // Only what was said: the rest is for administrators to say.
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
        if self.refresh_grace != REFRESH_GRACE {
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
    let mut clients = Admin::open(global).await?.list("/clients", &[]).await?;
    sort_by(&mut clients.items, "name");
    output::list(global, "clients", &clients, &["id", "name", "type", "redirect_uris", "scopes", "active"])
}
