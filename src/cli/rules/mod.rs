//! Owns `grantd api add-route`, `remove-route` and `routes`: the gateway's rules.

mod import;

use axum::http::Method;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use self::import::Import;
use super::{
    Global,
    admin::{Admin, Listed, sort_by},
    output,
};
use crate::model::error::Error;

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
#[command(args_conflicts_with_subcommands = true)]
pub struct Routes {
    #[command(subcommand)]
    command: Option<RoutesCommand>,
    /// The API's slug [default: all APIs]
    slug: Option<String>,
}

#[derive(Debug, Subcommand)]
enum RoutesCommand {
    Import(Import),
    /// Print an API's rules as a file for `import`
    Export(OfApi),
    /// Say which rule decides a request, and why
    Test(Test),
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
struct OfApi {
    /// The API's slug [default: the only API's]
    #[arg(long, value_name = "SLUG")]
    api: Option<String>,
}

#[derive(Debug, Args)]
struct Test {
    #[command(flatten)]
    of: OfApi,
    /// Method and path, such as 'GET /v1/users/7'
    #[arg(long, value_parser = request)]
    request: (String, String),
}

impl AddRoute {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
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
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        let rules = rules(&admin).await?;
        let rule = rules.iter().find(|rule| rule["id"] == self.id.as_str()).ok_or_else(|| Error::no_such("rule"))?;
        let slug = rule["api"].as_str().unwrap_or_default();
        let open = if self.open { "?open=yes" } else { "" };
        admin.send(Method::DELETE, &format!("/apis/{slug}/routes/{}{open}", self.id), &Value::Null).await?;
        output::one(global, &[("id", json!(self.id)), ("removed", json!(true))])
    }
}

impl Routes {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self.command {
            Some(RoutesCommand::Import(import)) => return import.run(global).await,
            Some(RoutesCommand::Export(of)) => return of.export(global).await,
            Some(RoutesCommand::Test(test)) => return test.run(global).await,
            None => {}
        }
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

impl OfApi {
    /// The API that is named, or the only one.
    async fn find(&self, admin: &Admin) -> Result<Value, Error> {
        if let Some(slug) = &self.api {
            return admin.get(&format!("/apis/{}", utf8_percent_encode(slug, NON_ALPHANUMERIC))).await;
        }
        let mut found = apis(admin).await?.items;
        match (found.pop(), found.is_empty()) {
            (Some(api), true) => Ok(api),
            (None, _) => Err(Error::invalid_request("there is no API; `grantd api create` makes one")),
            (Some(_), false) => Err(Error::invalid_request("there are several APIs: say which with --api SLUG")),
        }
    }

    async fn export(&self, global: &Global) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        let api = self.find(&admin).await?;
        let rules = rules_of(&admin, api["slug"].as_str().unwrap_or_default()).await?;
        let entries: Vec<Value> = rules.iter().map(entry).collect();
        if global.json {
            return output::line(&json!({ "rules": entries }).to_string());
        }
        if entries.is_empty() {
            return output::line("rules: []");
        }
        output::line("rules:")?;
        entries.iter().try_for_each(|entry| output::line(&format!("- {entry}")))
    }
}

impl Test {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        let api = self.of.find(&admin).await?;
        let (method, path) = self.request;
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("method", &method), ("path", &path)])
            .finish();
        let answer = admin.get(&format!("/apis/{}/routes/test?{query}", path_segment(&api["slug"]))).await?;
        if global.json {
            return output::line(&answer.to_string());
        }
        let shown = |rule: &Value| match rule {
            Value::Null => Value::Null,
            rule => {
                format!("{}. {} ({})", rule["number"], rule_words(rule), rule["id"].as_str().unwrap_or_default()).into()
            }
        };
        let mut lines: Vec<(&str, Value)> =
            ["decision", "reason", "scopes"].iter().map(|name| (*name, answer[*name].clone())).collect();
        lines.retain(|(_, value)| *value != json!([]));
        lines.push(("rule", shown(&answer["rule"])));
        lines.extend(answer["alike"].as_array().into_iter().flatten().map(|rule| ("applies too", shown(rule))));
        output::one(global, &lines)
    }
}

/// A method and a path.
fn request(text: &str) -> Result<(String, String), String> {
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [path] if path.starts_with('/') => Ok(("GET".to_owned(), (*path).to_owned())),
        [method, path] if path.starts_with('/') => Ok(((*method).to_owned(), (*path).to_owned())),
        _ => Err("a method and a path, such as 'GET /v1/users/7'".to_owned()),
    }
}

/// What a rule needs, in words.
fn needs(rule: &Value) -> String {
    let scopes: Vec<&str> = rule["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match (rule["public"] == true, scopes.is_empty()) {
        (true, _) => "public".to_owned(),
        (false, true) => "any credential".to_owned(),
        (false, false) => scopes.join(" "),
    }
}

fn rule_words(rule: &Value) -> String {
    let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
    format!("{} {}: {}", text("method"), text("path"), needs(rule))
}

/// A rule as a file of rules has it, without what goes without saying.
fn entry(rule: &Value) -> Value {
    let mut entry = json!({ "method": rule["method"], "path": rule["path"] });
    if rule["scopes"] != json!([]) {
        entry["scopes"] = rule["scopes"].clone();
    }
    if rule["public"] == true {
        entry["public"] = true.into();
    }
    entry
}

fn path_segment(slug: &Value) -> String {
    utf8_percent_encode(slug.as_str().unwrap_or_default(), NON_ALPHANUMERIC).to_string()
}

/// Every API, by name.
pub(super) async fn apis(admin: &Admin) -> Result<Listed, Error> {
    let mut apis = admin.list("/apis", &[]).await?;
    sort_by(&mut apis.items, "name");
    Ok(apis)
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
