//! Owns `grantd api`. Does not decide how an API speaks; its profile does.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Global,
    admin::Admin,
    output,
    rules::{AddRoute, RemoveRoute, Routes, apis},
};
use crate::{
    engine::signing::ACCESS_TOKEN_SECONDS_MAX,
    model::{api::Algorithm, error::Error, profile::Profile},
};

#[derive(Debug, Subcommand)]
pub enum ApiCommand {
    /// Register an API; prints the credentials with which its resource server introspects
    Create(Create),
    /// List APIs and their scopes
    List,
    /// Add a rule for the gateway: which requests need which scopes. The first that matches decides
    AddRoute(AddRoute),
    /// List the gateway's rules, in the order they are asked; import, export and test them
    #[command(visible_alias = "rules")]
    Routes(Routes),
    /// Remove a rule
    RemoveRoute(RemoveRoute),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Audience URI of the API, such as https://api.example.com
    #[arg(long, value_name = "URI")]
    identifier: String,
    /// Name to show
    #[arg(long)]
    name: String,
    /// Short name in URLs [default: from the name]
    #[arg(long)]
    slug: Option<String>,
    /// A scope and what it permits, in words for the consent page
    #[arg(long = "scope", value_name = "NAME=DESCRIPTION")]
    scopes: Vec<String>,
    /// How the API speaks
    #[arg(long, value_enum, default_value_t = Profile::Bearer)]
    profile: Profile,
    /// How its access tokens are signed: ES256, EdDSA or RS256
    #[arg(long, default_value = "ES256", value_parser = algorithm)]
    algorithm: Algorithm,
    /// Count each introspection as a call against the caller's plan
    #[arg(long)]
    count_introspection: bool,
    /// Lifetime of its access tokens, in seconds
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(i64).range(10..=ACCESS_TOKEN_SECONDS_MAX))]
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
            "profile": self.profile.as_str(),
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
        // Their words are for the consent page.
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
