//! Owns `grantd client`. Does not check redirect URIs; see `model::redirect_uri`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, open, output};
use crate::{
    engine::{apikey::span_seconds, clients::new_secret},
    model::{
        client::{AuthMethod, Client, ClientType, GrantType, REDIRECT_URIS_MAX},
        error::Error,
        redirect_uri::RedirectUri,
        secret::Secret,
        text,
    },
};

/// Most clients listed.
const LIST_MAX: i64 = 1000;
/// Longest grace window, in seconds.
const GRACE_MAX: i64 = 60;

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
    /// A scope it may ask for; may repeat [default: every scope there is now]
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
    /// Let this confidential client do without PKCE
    #[arg(long)]
    without_pkce: bool,
    /// Seconds in which a repeated refresh gets the same successor again; 0 turns it off
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i64).range(0..=GRACE_MAX))]
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
        let opened = open::store(global).await?;
        let catalog = opened.store.catalog().await?;
        let scopes = if self.scopes.is_empty() { catalog.all_scopes() } else { catalog.choose(&self.scopes)? };
        let grant_types = match self.grant_types {
            given if given.is_empty() => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            given => given,
        };
        let redirect_uris =
            self.redirect_uris.iter().map(|uri| RedirectUri::register(uri)).collect::<Result<Vec<_>, _>>()?;
        if grant_types.contains(&GrantType::AuthorizationCode) && redirect_uris.is_empty()
            || redirect_uris.len() > REDIRECT_URIS_MAX
        {
            return Err(Error::invalid_request("the code flow needs 1 to 20 --redirect-uri"));
        }
        let (auth_methods, secret) = match (self.kind, self.auth_method) {
            (ClientType::Public, None | Some(AuthMethod::None)) => (vec![AuthMethod::None], None),
            (ClientType::Confidential, None) => {
                (vec![AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost], Some(new_secret(opened.now)))
            }
            (ClientType::Confidential, Some(method)) if method != AuthMethod::None => {
                (vec![method], Some(new_secret(opened.now)))
            }
            _ => {
                return Err(Error::invalid_request(
                    "a public client has --auth-method none, a confidential one has a secret",
                ));
            }
        };
        if self.kind == ClientType::Public && (self.without_pkce || grant_types.contains(&GrantType::ClientCredentials))
        {
            return Err(Error::invalid_request("a public client needs PKCE and has no client_credentials"));
        }
        let client = Client {
            auth_methods,
            redirect_uris,
            grant_types,
            scopes,
            first_party: self.first_party,
            require_pkce: !self.without_pkce,
            refresh_grace_ms: self.refresh_grace * 1000,
            secrets: secret.iter().map(|(_, kept)| kept.clone()).collect(),
            ..Client::new(opened.now, text::name("the name", &self.name)?, self.kind)
        };
        let shown = secret.as_ref().map(|(shown, _)| Secret::expose(shown));
        let made = [
            ("client_id", json!(client.id)),
            ("client_secret", json!(shown)),
            ("scope", json!(client.scopes.to_string())),
        ];
        opened.store.insert_client(opened.now, open::origin(), client).await?;
        output::one(global, &made)
    }
}

impl Named {
    async fn set_active(self, global: &Global, active: bool) -> Result<(), Error> {
        let opened = open::store(global).await?;
        if !opened.store.set_client_active(opened.now, open::origin(), self.client_id.clone(), active).await? {
            return Err(no_client());
        }
        output::one(global, &[("client_id", json!(self.client_id)), ("active", json!(active))])
    }

    async fn delete(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        if !opened.store.delete_client(opened.now, open::origin(), self.client_id.clone(), None).await? {
            return Err(no_client());
        }
        output::one(global, &[("client_id", json!(self.client_id)), ("deleted", json!(true))])
    }
}

impl RotateSecret {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        let others_end_at = opened.now.plus_seconds(span_seconds(&self.overlap)?);
        let (secret, kept) = new_secret(opened.now);
        if !opened
            .store
            .rotate_secret(opened.now, open::origin(), self.client_id.clone(), None, kept, others_end_at)
            .await?
        {
            return Err(no_client());
        }
        let made = [
            ("client_id", json!(self.client_id)),
            ("client_secret", json!(secret.expose())),
            ("others_end_at", json!(others_end_at.rfc3339())),
        ];
        output::one(global, &made)
    }
}

async fn list(global: &Global) -> Result<(), Error> {
    let clients = open::store(global).await?.store.list_clients(None, LIST_MAX).await?;
    let rows: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let uris: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
            vec![
                json!(client.id),
                json!(client.name),
                json!(client.kind.as_str()),
                json!(uris),
                json!(client.scopes.to_string()),
                json!(client.active),
            ]
        })
        .collect();
    output::many(global, "clients", &["client_id", "name", "type", "redirect_uris", "scope", "active"], &rows)
}

fn no_client() -> Error {
    Error::invalid_request("there is no such client (or it is an API's own); `grantd client list` shows them")
}
