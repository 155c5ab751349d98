//! Owns `grantd api`. Does not decide how an API speaks; its profile does.

use axum::http::Method;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{
    Global,
    admin::{Admin, Listed, sort_by},
    output,
};
use crate::model::{
    api::Algorithm,
    error::Error,
    policy::{ACCESS_TOKEN_BOUNDS, ACCESS_TOKEN_SECONDS},
    profile::Profile,
};

#[derive(Debug, Subcommand)]
pub enum ApiCommand {
    /// Register an API; prints the credentials with which its resource server introspects
    Create(Create),
    /// List APIs and their scopes
    List,
    /// Add a rule for the gateway: which requests need which scopes. The first that matches decides
    AddRoute(AddRoute),
    /// List the gateway's rules, in the order they are asked
    Routes(OfApi),
    /// Remove a rule
    RemoveRoute(RemoveRoute),
}

#[derive(Debug, Args)]
pub struct AddRoute {
    /// The API's slug
    slug: String,
    /// Such as GET, or * for any
    #[arg(long, default_value = "*")]
    method: String,
    /// Such as /v1/users/{id}, or /v1/files/* for whatever is below it
    #[arg(long)]
    path: String,
    /// A scope it needs; may repeat, then all are needed
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// Anybody may, without a credential
    #[arg(long, conflicts_with = "scopes")]
    public: bool,
    /// Evaluate this rule first [default: after them]
    #[arg(long, conflicts_with = "before")]
    first: bool,
    /// Ask it right before the rule with this id
    #[arg(long, value_name = "ID")]
    before: Option<String>,
}

#[derive(Debug, Args)]
pub struct OfApi {
    /// The API's slug [default: every API's, with its slug]
    slug: Option<String>,
}

#[derive(Debug, Args)]
pub struct RemoveRoute {
    /// The rule's id, as `api routes` shows it
    id: String,
    /// Also the API's last one, after which every credential for the API passes everywhere
    #[arg(long)]
    open: bool,
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
    #[arg(long, default_value_t = ACCESS_TOKEN_SECONDS, value_parser = clap::value_parser!(i64).range(ACCESS_TOKEN_BOUNDS))]
    access_token_seconds: i64,
}

impl ApiCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::List => list(global).await,
            Self::AddRoute(route) => route.run(global).await,
            Self::Routes(of) => of.run(global).await,
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

impl AddRoute {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let body = json!({
            "method": self.method,
            "path": self.path,
            "scopes": self.scopes,
            "public": self.public,
            "first": self.first,
            "before": self.before,
        });
        let made = Admin::open(global).await?.post(&format!("/apis/{}/routes", self.slug), body).await?;
        output::answer(global, &made, &["id", "method", "path", "scopes", "public"])
    }
}

impl RemoveRoute {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        let rules = rules(&admin).await?;
        let rule = rules.iter().find(|rule| rule["id"] == self.id.as_str()).ok_or_else(|| Error::no_such("rule"))?;
        let slug = rule["api"].as_str().unwrap_or_default();
        let open = if self.open { "?open=yes" } else { "" };
        admin.send(Method::DELETE, &format!("/apis/{slug}/routes/{}{open}", self.id), &Value::Null).await?;
        output::one(global, &[("id", json!(self.id)), ("removed", json!(true))])
    }
}

impl OfApi {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        let Some(slug) = self.slug else {
            let items = rules(&admin).await?;
            let members = ["id", "api", "method", "path", "scopes", "public"];
            return output::list(global, "routes", &Listed { items, next: None }, &members);
        };
        let items = rules_of(&admin, &slug).await?;
        output::list(global, "routes", &Listed { items, next: None }, &["id", "method", "path", "scopes", "public"])
    }
}

/// Every rule with its API's slug, in the order they are asked.
async fn rules(admin: &Admin) -> Result<Vec<Value>, Error> {
    let mut found = Vec::new();
    for api in apis(admin).await?.items {
        let slug = api["slug"].as_str().unwrap_or_default();
        for mut rule in rules_of(admin, slug).await? {
            rule["api"] = slug.into();
            found.push(rule);
        }
    }
    Ok(found)
}

async fn rules_of(admin: &Admin, slug: &str) -> Result<Vec<Value>, Error> {
    let slug = utf8_percent_encode(slug, NON_ALPHANUMERIC);
    let mut rules = admin.get(&format!("/apis/{slug}/routes")).await?;
    Ok(rules["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

async fn apis(admin: &Admin) -> Result<Listed, Error> {
    let mut apis = admin.list("/apis", &[]).await?;
    sort_by(&mut apis.items, "name");
    Ok(apis)
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
