//! Owns `grantd api`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Global,
    admin::Admin,
    output,
    rules::{AddRoute, RemoveRoute, Routes, apis},
};
use crate::model::{
    api::Algorithm,
    error::Error,
    policy::{ACCESS_TOKEN_BOUNDS, ACCESS_TOKEN_SECONDS},
    profile,
};

#[derive(Debug, Subcommand)]
pub enum ApiCommand {
    /// Register an API and print the credentials its resource server uses for introspection
    Create(Create),
    /// List APIs and their scopes
    List,
    /// Add a gateway rule: which scopes a request needs. The first matching rule applies
    AddRoute(AddRoute),
    /// List gateway rules in the order they are evaluated; import, export and test them
    #[command(visible_alias = "rules")]
    Routes(Routes),
    /// Remove a gateway rule
    RemoveRoute(RemoveRoute),
}

#[derive(Debug, Args)]
pub struct Create {
    /// The API's identifier (audience URI), such as https://api.example.com
    #[arg(long, value_name = "URI")]
    identifier: String,
    /// Display name
    #[arg(long)]
    name: String,
    /// Short name in URLs [default: derived from the name]
    #[arg(long)]
    slug: Option<String>,
    /// A scope and its description for the consent page; may be repeated
    #[arg(long = "scope", value_name = "NAME=DESCRIPTION")]
    scopes: Vec<String>,
    /// Profile: where it accepts credentials, and the format of its refusals; `grantd profile list` lists them
    #[arg(long, value_name = "NAME", default_value = profile::DEFAULT)]
    profile: String,
    /// Signing algorithm of its access tokens: ES256, EdDSA or RS256
    #[arg(long, default_value = "ES256", value_parser = algorithm)]
    algorithm: Algorithm,
    /// Count each introspection as a request against the caller's plan
    #[arg(long)]
    count_introspection: bool,
    /// Lifetime of its access tokens, in seconds
    #[arg(long, default_value_t = ACCESS_TOKEN_SECONDS, value_parser = clap::value_parser!(i64).range(ACCESS_TOKEN_BOUNDS))]
    access_token_seconds: i64,
}

impl ApiCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::List => list(global).await,
            Self::AddRoute(route) => route.run(global).await,
            Self::Routes(routes) => routes.run(global).await,
            Self::RemoveRoute(route) => route.run(global).await,
        }
    }
}

impl Create {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let scope = |text: &String| {
            let (name, description) = text.split_once('=').unwrap_or((text, text));
            json!({ "name": name, "description": description })
        };
        let body = json!({
            "identifier": self.identifier,
            "name": self.name,
            "slug": self.slug,
            "scopes": self.scopes.iter().map(scope).collect::<Vec<_>>(),
            "profile": self.profile,
            "algorithm": self.algorithm.as_str(),
            "access_token_seconds": self.access_token_seconds,
            "counts_introspection": self.count_introspection,
        });
        let made = Admin::open(global).await?.post("/apis", body).await?;
        output::answer(global, &made, &["id", "slug", "client_id", "client_secret"])
    }
}

async fn list(global: &Global) -> Result<(), Error> {
    let mut apis = apis(&Admin::open(global).await?).await?;
    if !global.json {
        // The descriptions are for the consent page.
        let names = |scopes: &Value| -> Value {
            scopes.as_array().into_iter().flatten().map(|scope| scope["name"].clone()).collect::<Vec<_>>().into()
        };
        apis.items.iter_mut().for_each(|api| api["scopes"] = names(&api["scopes"]));
    }
    output::list(global, "APIs", &apis, &["id", "slug", "identifier", "name", "client_id", "scopes"])
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::parse(text).ok_or_else(|| "ES256, EdDSA or RS256".to_owned())
}
