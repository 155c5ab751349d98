//! Owns `grantd api`.

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
    /// Register an API and print the credentials its resource server uses for introspection
    Create(Create),
    /// List APIs and their scopes
    List,
    /// Add a gateway rule: which scopes a request needs. The first matching rule applies
    AddRoute(AddRoute),
    /// List gateway rules in the order they are evaluated
    Routes(OfApi),
    /// Remove a gateway rule
    RemoveRoute(RemoveRoute),
}

#[derive(Debug, Args)]
pub struct AddRoute {
    /// The API's slug
    slug: String,
    /// HTTP method, such as GET, or * for any
    #[arg(long, default_value = "*")]
    method: String,
    /// Path, such as /v1/users/{id}, or /v1/files/* for everything below it
    #[arg(long)]
    path: String,
    /// Required scope; repeat to require several
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// Allow requests without a credential
    #[arg(long, conflicts_with = "scopes")]
    public: bool,
    /// Evaluate this rule first [default: last]
    #[arg(long, conflicts_with = "before")]
    first: bool,
    /// Insert it before the rule with this id
    #[arg(long, value_name = "ID")]
    before: Option<String>,
}

#[derive(Debug, Args)]
pub struct OfApi {
    /// The API's slug [default: all APIs]
    slug: Option<String>,
}

#[derive(Debug, Args)]
pub struct RemoveRoute {
    /// The rule's id; see `api routes`
    id: String,
    /// Allow removing the last rule, after which any credential for the API may call every path
    #[arg(long)]
    open: bool,
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
    /// Format of error responses
    #[arg(long, value_enum, default_value_t = Profile::Bearer)]
    profile: Profile,
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

/// Every rule with its API's slug, in the order of evaluation.
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
