//! Owns `grantd demo`: example data in an embedded database, then the real server. The data is created by the same verbs
//! as with the other commands.

use std::{fs, io::ErrorKind, path::PathBuf, sync::Arc};

use aws_lc_rs::digest;
use clap::Args;
use data_encoding::BASE64URL_NOPAD;
use ipnet::IpNet;
use secrecy::ExposeSecret;

use super::{
    Global, context,
    demo_env::{FILE, Variables},
    output,
    serve::{Listening, prepare, serve},
};
use crate::{
    app::App,
    config::Config,
    engine::{
        alone,
        apis::{self, RegisteredApi},
        attenuation::Attenuation,
        clients::{self, WithSecret},
        keys,
        new_key::NewKey,
        projects::{self, NewProject},
        rules,
        users::{self, CreateUser, CreatedUser},
    },
    model::{
        api::{Algorithm, Api, ApiScope},
        client::{Client, ClientType, GrantType},
        clock::Timestamp,
        error::Error,
        key::KeyForm,
        policy,
        profile::Dialect,
        project::KeyTermsChange,
        redirect_uri::RedirectUri,
        scope::Scopes,
        secret::{self, Digest, Secret, new_id},
    },
    store::{ClientChanges, RulePlace},
};

/// The demo's own database.
const DATABASE: &str = "grantd-demo.db";
const LISTEN: &str = "127.0.0.1:8080";
const EMAIL: &str = "demo@example.com";
const API: &str = "https://api.example.com";
/// Host names that a browser on this machine may use, besides the issuer's.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// The document with the demo's commands.
const QUICK_START: &str = include_str!("../../docs/quick-start.md");

/// Run a server with example data: a user, an API, a client and keys in an embedded database
#[derive(Debug, Args)]
pub struct Demo {
    /// Address to listen on, such as 127.0.0.1:8081, or 0.0.0.0:8080 in a container
    #[arg(long, value_name = "ADDR", default_value = LISTEN)]
    listen: String,
    /// Start over: remove the demo's database and variables first
    #[arg(long)]
    fresh: bool,
    /// Also print the commands of docs/quick-start.md, to paste
    #[arg(long)]
    commands: bool,
}

impl Demo {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        if self.fresh && global.database.is_some() {
            return Err(Error::invalid_request(
                "--fresh removes the demo's own database; do not use it with --database",
            ));
        }
        let config = self.config(global)?;
        prepare(&config)?;
        let listening = Listening::at(config.listen).await?;
        if self.fresh {
            remove()?;
        }
        let app = Arc::new(context::app_or_new(config).await?);
        let variables = create_or_refresh(&app).await?;
        variables.write()?;
        let mut text = screen(&app.config, &variables)?;
        if self.commands {
            text += &commands();
        }
        serve(app, listening, |_| output::text(&text)).await
    }

    /// With its own address and database, whatever the configuration says.
    fn config(&self, global: &Global) -> Result<Config, Error> {
        let database = global.database.clone().unwrap_or_else(|| format!("sqlite:{DATABASE}"));
        let given =
            [("database", Some(database)), ("listen", Some(self.listen.clone())), ("log", Some("warn".to_owned()))];
        let mut config = context::config(global, &given)?;
        if global.issuer.is_none() {
            config.issuer = Config::issuer_at(config.listen).into();
        }
        config.hosts.extend(LOCAL.map(ToOwned::to_owned));
        // In the demo, a proxy runs on this machine.
        if config.trusted_proxies.is_empty() && config.listen.ip().is_loopback() {
            config.trusted_proxies.push(IpNet::from(config.listen.ip()));
        }
        Ok(config)
    }
}

/// Removes the files of an earlier demo.
fn remove() -> Result<(), Error> {
    let database = ["", "-wal", "-shm", ".key"].map(|end| format!("{DATABASE}{end}"));
    for file in database.iter().map(String::as_str).chain([FILE]) {
        match fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::invalid_request(format!("cannot remove {file}: {error}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The example data as it should be at startup: created, or updated to this address and usable again.
async fn create_or_refresh(app: &App) -> Result<Variables, Error> {
    let mut variables = match app.store.find_user_by_email(EMAIL).await? {
        Some((user, _)) => {
            let mut variables = Variables::read().ok_or_else(|| {
                let message = format!("{FILE} is missing and cannot be recovered; start over with grantd demo --fresh");
                Error::invalid_request(message)
            })?;
            refresh(app, &user.id, &mut variables).await?;
            variables
        }
        None if !app.store.list_users(1).await?.is_empty() => {
            return Err(Error::invalid_request("this is not a demo database; leave out --database"));
        }
        None => fill(app).await?,
    };
    let (issuer, redirect) = (app.config.issuer.to_string(), redirect(&app.config));
    let authorize = format!(
        "{issuer}/oauth/authorize?response_type=code&client_id={}&redirect_uri={}&scope=read+write&state=demo&code_challenge={}&code_challenge_method=S256",
        variables.get("CLIENT_ID")?,
        form_urlencoded::byte_serialize(redirect.as_bytes()).collect::<String>(),
        variables.get("CHALLENGE")?,
    );
    let here = app.config.database.file().map(|file| std::path::absolute(file).unwrap_or_else(|_| PathBuf::from(file)));
    let database =
        here.map_or_else(|| app.config.database.expose().to_owned(), |file| format!("sqlite:{}", file.display()));
    variables.set("GRANTD", issuer.clone());
    variables.set("GRANTD_ISSUER", issuer);
    variables.set("GRANTD_DATABASE", database);
    variables.set("REDIRECT_URI", redirect);
    variables.set("AUTHORIZE_URL", authorize);
    Ok(variables)
}

/// Adds this address to the example app, and replaces keys that were revoked.
async fn refresh(app: &App, user_id: &str, variables: &mut Variables) -> Result<(), Error> {
    let (now, redirect) = (app.clock.now(), redirect(&app.config));
    let client = app.clients.find(variables.get("CLIENT_ID")?).await?.ok_or_else(|| {
        Error::invalid_request(format!(
            "the app in {FILE} is not in this database; start over with grantd demo --fresh"
        ))
    })?;
    if !client.allows_redirect(&redirect) {
        let redirect_uris = client.redirect_uris.iter().cloned().chain([RedirectUri::register(&redirect)?]).collect();
        let to = ClientChanges { redirect_uris: Some(redirect_uris), ..ClientChanges::default() };
        clients::update(app.engine(), context::act(now), &Attenuation::OPERATOR, &client, (to, None)).await?;
    }
    for name in ["API_KEY", "PROJECT_KEY", "ADMIN_KEY"] {
        let kept = app.store.find_key_by_digest(&Digest::of(variables.get(name)?)).await?;
        let Some(old) = kept.map(|record| record.key).filter(|key| key.revoked_at.is_some()) else { continue };
        let project = match &old.project_id {
            Some(id) => app.store.find_project(id).await?,
            None => None,
        };
        let key = create_key(app, now, NewKey { user_id: user_id.to_owned(), ..NewKey::like(&old, project) }).await?;
        variables.set(name, key.expose());
    }
    Ok(())
}

fn redirect(config: &Config) -> String {
    format!("{}/apps/callback", config.issuer)
}

/// Creates the example user, API, client, project and keys.
async fn fill(app: &App) -> Result<Variables, Error> {
    let (now, by) = (app.clock.now(), &Attenuation::OPERATOR);
    let (name, plan) = (Some("Demo Person".to_owned()), Some("pro".to_owned()));
    let user = CreateUser { email: EMAIL.to_owned(), name, password: None, plan, admin: true };
    let CreatedUser { user, password } = users::create(app.engine(), context::act(now), by, user, alone).await?;
    let (api_id, api_secret) = create_api(app, now).await?;
    let (client_id, client_secret) = create_client(app, now).await?;
    let key = create_key(app, now, NewKey::of(&user.id, "Example key", Scopes::parse("read")?)).await?;
    let project = NewProject {
        id: None,
        user_id: user.id.clone(),
        name: "Example project".to_owned(),
        key_form: Some(KeyForm::Prefixed),
        one_live_key: Some(false),
        key_terms: KeyTermsChange::default(),
        plan: None,
    };
    let project = projects::create(app.engine(), context::act(now), by, project, alone).await?;
    let project_key = NewKey::of(&user.id, "Example project's key", Scopes::parse("read")?);
    let project_key = create_key(app, now, NewKey { project: Some(project), ..project_key }).await?;
    // With this key, the whole management API can be tried.
    let catalog = app.catalog.current();
    let everything = catalog.every().flat_map(|api| &api.scopes).map(|scope| scope.name.as_str());
    let admin_key = create_key(app, now, NewKey::of(&user.id, "Administrator's key", everything.collect())).await?;
    let verifier = secret::random_base62(64);
    let challenge = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref());
    let mut variables = Variables::default();
    for (name, value) in [
        ("GRANTD", &*app.config.issuer),
        ("EMAIL", EMAIL),
        ("PASSWORD", password.as_ref().map_or("", |password| password.expose_secret())),
        ("API_ID", &api_id),
        ("API_SECRET", api_secret.expose()),
        ("CLIENT_ID", &client_id),
        ("CLIENT_SECRET", client_secret.expose()),
        ("API_KEY", key.expose()),
        ("ADMIN_KEY", admin_key.expose()),
        ("PROJECT_KEY", project_key.expose()),
        ("VERIFIER", &verifier),
        ("CHALLENGE", &challenge),
    ] {
        variables.set(name, value);
    }
    Ok(variables)
}

async fn create_key(app: &App, now: Timestamp, new: NewKey) -> Result<Secret, Error> {
    Ok(keys::create(app.engine(), context::act(now), &Attenuation::OPERATOR, new, alone).await?.secret)
}

async fn create_api(app: &App, now: Timestamp) -> Result<(String, Secret), Error> {
    let scope = |name: &str, description: &str| ApiScope { name: name.to_owned(), description: description.to_owned() };
    let api = Api {
        id: new_id("api"),
        slug: "example".to_owned(),
        identifier: API.to_owned(),
        name: "Example API".to_owned(),
        profile: Dialect::shipped_default(),
        algorithm: Algorithm::default(),
        access_token_seconds: policy::ACCESS_TOKEN_SECONDS,
        client_id: String::new(),
        counts_introspection: false,
        scopes: vec![scope("read", "Read your data"), scope("write", "Change your data")],
        rules: Arc::default(),
    };
    let RegisteredApi { api, secret } =
        apis::register(app.engine(), context::act(now), &Attenuation::OPERATOR, api, alone).await?;
    // For a proxy: reading needs `read`, everything else `write`.
    for (method, scope) in [("GET", "read"), ("*", "write")] {
        let rule = (rules::rule(Some(method), "/*".to_owned(), Scopes::parse(scope)?, false)?, RulePlace::Last);
        rules::add(app.engine(), context::act(now), &api, rule, alone).await?;
    }
    Ok((api.client_id, secret))
}

/// The operator's app, with a callback on this machine under each local name and any port (RFC 8252 §7.3).
async fn create_client(app: &App, now: Timestamp) -> Result<(String, Secret), Error> {
    let mut redirect_uris = vec![redirect(&app.config)];
    redirect_uris.extend(LOCAL.map(|host| format!("http://{host}:8080/apps/callback")));
    redirect_uris.dedup();
    let client = Client {
        redirect_uris: redirect_uris.iter().map(|uri| RedirectUri::register(uri)).collect::<Result<_, _>>()?,
        grant_types: GrantType::ALL.to_vec(),
        scopes: Scopes::parse("read write")?,
        ..Client::new(now, "Example app".to_owned(), ClientType::Confidential)
    };
    let WithSecret { client, secret, .. } =
        clients::register(app.engine(), context::act(now), &Attenuation::OPERATOR, client, alone).await?;
    Ok((client.id, secret.ok_or_else(|| Error::server("a confidential client has a secret"))?))
}

/// What to do next, in a few lines.
fn screen(config: &Config, variables: &Variables) -> Result<String, Error> {
    let others = match config.listen.ip().is_loopback() {
        true => "",
        false => "\nOther machines can reach this server: it listens on every address.\n",
    };
    Ok(format!(
        "\
Open this in a browser, sign in as {email} with password {password}, and allow the example app:

   {authorize}

Manage keys, apps and more at {issuer}
{others}
In another terminal, in this directory, load the example's ids and secrets, and `grantd` for this database:

   . ./{FILE}

The commands to try are in docs/quick-start.md; `grantd demo --commands` prints them here.
Ctrl-C stops the server and keeps the data; `grantd demo --fresh` starts over.
",
        email = variables.get("EMAIL")?,
        password = variables.get("PASSWORD")?,
        authorize = variables.get("AUTHORIZE_URL")?,
        issuer = config.issuer,
    ))
}

/// The commands of the quick start, without Markdown.
fn commands() -> String {
    let section = QUICK_START.split("<!-- test: the flow -->").nth(1).and_then(|rest| rest.split("<!-- ").next());
    let mut is_code = false;
    let mut text = String::new();
    for line in section.unwrap_or_default().lines() {
        match (line.starts_with("```"), is_code) {
            (true, _) => is_code = !is_code,
            (false, true) => text += format!("   {line}").trim_end(),
            (false, false) => text += &line.replace("**", ""),
        }
        text += if line.starts_with("```") { "" } else { "\n" };
    }
    text
}
