//! Owns `grantd api`. Does not decide how an API speaks; its profile does.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, open, output, user::taken};
use crate::{
    app::App,
    engine::{clients::new_secret, signing::ACCESS_TOKEN_SECONDS_MAX},
    model::{
        api::{Algorithm, Api, ApiScope},
        client::{Client, ClientType},
        clock::Timestamp,
        error::Error,
        profile::Profile,
        route::{Route, is_pattern},
        scope::{Scopes, is_scope_token},
        secret::{Secret, new_id},
        text,
    },
    store::RoutePlace,
};

#[derive(Debug, Subcommand)]
pub enum ApiCommand {
    /// Register an API; prints the credentials with which its resource server introspects
    Create(Create),
    /// List APIs and their scopes
    List,
    /// Add a rule for the gateway: which requests need which scopes. The first that matches decides
    AddRoute(AddRoute),
    /// List the gateway's rules
    Routes,
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
    /// Ask it before all others [default: after them]
    #[arg(long, conflicts_with = "before")]
    first: bool,
    /// Ask it right before the rule with this id
    #[arg(long, value_name = "ID")]
    before: Option<String>,
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
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(i64).range(10..=ACCESS_TOKEN_SECONDS_MAX))]
    access_token_seconds: i64,
}

impl ApiCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::List => list(global).await,
            Self::AddRoute(route) => route.run(global).await,
            Self::Routes => routes(global).await,
            Self::RemoveRoute(route) => route.run(global).await,
        }
    }
}

impl Create {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let absolute = url::Url::parse(&self.identifier).is_ok() && !self.identifier.contains(['#', ' ']);
        if !absolute || self.identifier.len() > 512 {
            return Err(Error::invalid_request(
                "--identifier is an absolute URI without fragment, such as https://api.example.com",
            ));
        }
        let name = text::name("the name", &self.name)?;
        let slug = slug(&self.slug.unwrap_or_else(|| name.clone()))?;
        let scopes = self.scopes.iter().map(|text| scope(text)).collect::<Result<Vec<_>, _>>()?;
        // The whole server is opened: an algorithm that is new here needs its first signing key.
        let app = open::app(open::config(global, &[])?).await?;
        let now = app.clock.now();
        let api = Api {
            id: new_id("api"),
            slug,
            identifier: self.identifier,
            name,
            profile: self.profile,
            algorithm: self.algorithm,
            access_token_seconds: self.access_token_seconds,
            client_id: String::new(),
            counts_introspection: self.count_introspection,
            scopes,
            routes: Vec::new(),
        };
        let members = [("id", json!(api.id)), ("slug", json!(api.slug))];
        let (client_id, secret) = make(&app, now, api).await?;
        let credentials = [("client_id", json!(client_id)), ("client_secret", json!(secret.expose()))];
        output::one(global, &[members, credentials].concat())
    }
}

/// Keeps an API with the client of its resource server, and returns that client's id and secret.
pub async fn make(app: &App, now: Timestamp, mut api: Api) -> Result<(String, Secret), Error> {
    let (secret, kept) = new_secret(now);
    let name = format!("{} (resource server)", api.name).chars().take(100).collect();
    let client = Client {
        grant_types: Vec::new(),
        api_id: Some(api.id.clone()),
        secrets: vec![kept],
        ..Client::new(now, name, ClientType::Confidential)
    };
    let client_id = client.id.clone();
    api.client_id.clone_from(&client_id);
    app.signing.ensure(now, &[api.algorithm]).await?;
    app.store
        .insert_api(now, open::origin(), api, client)
        .await
        .map_err(|error| taken(error, "an API with this identifier or slug"))?;
    Ok((client_id, secret))
}

impl AddRoute {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        let catalog = opened.store.catalog().await?;
        let no_api = || Error::invalid_request("there is no API with this slug; `grantd api list` shows them");
        let api = catalog.by_slug(&self.slug).ok_or_else(no_api)?;
        let method = self.method.to_ascii_uppercase();
        if method != "*" && !method.bytes().all(|b| b.is_ascii_uppercase()) || method.is_empty() {
            return Err(Error::invalid_request("--method is one such as GET, or *"));
        }
        if !is_pattern(&self.path) {
            return Err(Error::invalid_request(
                "--path is such as /v1/users/{id} or /v1/files/*, without dot segments or escapes",
            ));
        }
        let scopes = if self.scopes.is_empty() { Scopes::default() } else { catalog.choose(&self.scopes)? };
        if scopes.iter().any(|name| !api.scopes.iter().any(|scope| scope.name == name)) {
            return Err(Error::invalid_scope("a rule needs scopes of its own API"));
        }
        let route = Route { id: new_id("route"), method, pattern: self.path, scopes, public: self.public };
        let id = route.id.clone();
        let place = match self.before {
            Some(id) => RoutePlace::Before(id),
            None if self.first => RoutePlace::First,
            None => RoutePlace::Last,
        };
        opened.store.insert_route(opened.now, open::origin(), api.id.clone(), route, place).await?;
        output::one(global, &[("id", json!(id))])
    }
}

impl RemoveRoute {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        if !opened.store.delete_route(opened.now, open::origin(), self.id.clone(), self.open).await? {
            return Err(Error::invalid_request("there is no such rule; `grantd api routes` shows them"));
        }
        output::one(global, &[("id", json!(self.id)), ("removed", json!(true))])
    }
}

async fn routes(global: &Global) -> Result<(), Error> {
    let catalog = open::store(global).await?.store.catalog().await?;
    let row = |api: &Api, route: &Route| {
        vec![
            json!(route.id),
            json!(api.slug),
            json!(route.method),
            json!(route.pattern),
            json!(route.scopes.to_string()),
            json!(route.public),
        ]
    };
    let rows: Vec<_> =
        catalog.apis.iter().flat_map(|api| api.routes.iter().map(move |route| row(api, route))).collect();
    output::many(global, "routes", &["id", "api", "method", "path", "scope", "public"], &rows)
}

async fn list(global: &Global) -> Result<(), Error> {
    let catalog = open::store(global).await?.store.catalog().await?;
    let rows: Vec<_> = catalog
        .apis
        .into_iter()
        .map(|api| {
            let scopes: Vec<String> =
                api.scopes.into_iter().map(|scope| format!("{} = {}", scope.name, scope.description)).collect();
            vec![
                json!(api.id),
                json!(api.slug),
                json!(api.identifier),
                json!(api.name),
                json!(api.client_id),
                json!(scopes),
            ]
        })
        .collect();
    output::many(global, "apis", &["id", "slug", "identifier", "name", "client_id", "scopes"], &rows)
}

fn scope(text: &str) -> Result<ApiScope, Error> {
    let (name, description) = text.split_once('=').unwrap_or((text, text));
    // "all" on the command line means every scope, so no scope can be called that.
    if !is_scope_token(name) || name == "all" {
        return Err(Error::invalid_scope(
            "--scope is NAME=DESCRIPTION; a name has no spaces, quotes or backslashes and is not \"all\"",
        ));
    }
    Ok(ApiScope { name: name.to_owned(), description: text::name("the scope's description", description)? })
}

fn slug(text: &str) -> Result<String, Error> {
    let mapped: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let slug = mapped.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    if slug.is_empty() || slug.len() > 60 {
        return Err(Error::invalid_request("--slug has 1 to 60 lower-case letters, digits and dashes"));
    }
    Ok(slug)
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::parse(text).ok_or_else(|| "ES256, EdDSA or RS256".to_owned())
}
