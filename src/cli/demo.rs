//! Owns `grantd demo`: example data on an embedded database, then the real server. Nothing here is a path of its own: the
//! data is made as the other commands make it.

use std::{fs, io::Write, net::SocketAddr, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use aws_lc_rs::digest;
use clap::Args;
use data_encoding::BASE64URL_NOPAD;
use ipnet::IpNet;
use secrecy::SecretString;

use super::{
    Global, api, open, output,
    serve::{prepare, serve},
};
use crate::{
    app::App,
    engine::{
        apikey::{self, NewKey},
        client_rules,
        clients::new_secret,
        hand_on::Actor,
        new_password::{NewPassword, Whose},
    },
    model::{
        api::{Algorithm, Api, ApiScope},
        client::{Client, ClientType, GrantType},
        clock::Timestamp,
        error::Error,
        key::KeyForm,
        profile::Profile,
        project::Project,
        redirect_uri::RedirectUri,
        route::Route,
        scope::Scopes,
        secret::{self, Secret, new_id},
    },
    store::{NewUser, RoutePlace},
};

const DATABASE: &str = "sqlite:grantd-demo.db";
/// Shell variables with the example's ids and secrets: shown once, so kept here for the next start.
const ENV_FILE: &str = "demo.env";
const EMAIL: &str = "demo@example.com";
const NAME: &str = "Demo Person";
const API: &str = "https://api.example.com";

/// Try everything
#[derive(Debug, Args)]
pub struct Demo {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

impl Demo {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let issuer = global.issuer.clone().unwrap_or_else(|| format!("http://{}", self.listen));
        let database = global.database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let mut config = open::config(
            global,
            &[
                ("database", Some(database)),
                ("issuer", Some(issuer)),
                ("listen", Some(self.listen.to_string())),
                ("log", Some("warn".to_owned())),
            ],
        )?;
        // A proxy to try stands on this machine.
        if config.trusted_proxies.is_empty() && self.listen.ip().is_loopback() {
            config.trusted_proxies.push(IpNet::from(self.listen.ip()));
        }
        // People open what habit gives them.
        config.hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(ToOwned::to_owned));
        prepare(&config)?;
        let app = Arc::new(open::app(config).await?);
        if app.store.find_user(EMAIL).await?.is_none() {
            let variables = fill(&app).await?;
            write_env(Path::new(ENV_FILE), &variables)?;
        }
        let variables = fs::read_to_string(ENV_FILE).map_err(|_| {
            Error::invalid_request(format!(
                "{ENV_FILE} is gone, and the secrets in it were shown once: remove grantd-demo.db* and start again"
            ))
        })?;
        if !variables.contains(&format!("GRANTD={}\n", app.config.issuer)) {
            return Err(Error::invalid_request(format!(
                "{ENV_FILE} is for another address: use the same --listen, or remove grantd-demo.db* and {ENV_FILE}"
            )));
        }
        serve(Arc::clone(&app), |_| output::text(&instructions(&app.config.issuer, &variables))).await
    }
}

type Variables = Vec<(&'static str, String)>;

/// Makes the example user, API, client, project and keys.
async fn fill(app: &App) -> Result<Variables, Error> {
    let now = app.clock.now();
    let password = secret::random_base62(20);
    let whose = Whose { issuer: &app.config.issuer, email: EMAIL, name: NAME };
    let accepted = NewPassword::accept(&SecretString::from(password.clone()), whose)?;
    let user = NewUser {
        email: EMAIL.to_owned(),
        name: NAME.to_owned(),
        password: Some(app.passwords.hash(accepted).await?),
        plan: "pro".to_owned(),
        admin: true,
    };
    let user_id = app.store.insert_user(now, open::origin(), user).await?;
    let (api_id, api_secret) = make_api(app, now).await?;
    let (client_id, client_secret) = make_client(app, now, &user_id).await?;
    let key = make_key(app, now, NewKey::of(&user_id, "Example key", Scopes::parse("read")?)).await?;
    let project = make_project(app, now, &user_id).await?;
    let project_key = NewKey::of(&user_id, "Example project's key", Scopes::parse("read")?);
    let project_key = make_key(app, now, NewKey { project: Some(project), ..project_key }).await?;
    // With an API key of its own, the whole management API can be tried.
    let catalog = app.catalog.current();
    let apis = catalog.apis.iter().chain(&catalog.reserved);
    let everything = apis.flat_map(|api| &api.scopes).map(|scope| scope.name.as_str());
    let new = NewKey::of(&user_id, "Administrator's key", everything.collect());
    let (admin_key, record) = apikey::make(now, &app.config, new)?;
    app.store.insert_key(now, open::origin(), admin_key.digest(), record).await?;
    let verifier = secret::random_base62(64);
    let challenge = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref());
    let issuer = &app.config.issuer;
    let redirect = format!("{issuer}/apps/callback");
    let authorize = format!(
        "{issuer}/oauth/authorize?response_type=code&client_id={client_id}&redirect_uri={}&scope=read+write&state=demo&code_challenge={challenge}&code_challenge_method=S256",
        form_urlencoded::byte_serialize(redirect.as_bytes()).collect::<String>()
    );
    Ok(vec![
        ("GRANTD", issuer.clone()),
        ("EMAIL", EMAIL.to_owned()),
        ("PASSWORD", password),
        ("API_ID", api_id),
        ("API_SECRET", api_secret.expose().to_owned()),
        ("CLIENT_ID", client_id),
        ("CLIENT_SECRET", client_secret.expose().to_owned()),
        ("API_KEY", key.expose().to_owned()),
        ("ADMIN_KEY", admin_key.expose().to_owned()),
        ("PROJECT_KEY", project_key.expose().to_owned()),
        ("VERIFIER", verifier),
        ("CHALLENGE", challenge),
        ("REDIRECT_URI", redirect),
        ("AUTHORIZE_URL", format!("'{authorize}'")),
    ])
}

async fn make_key(app: &App, now: Timestamp, new: NewKey) -> Result<Secret, Error> {
    let (key, record) = apikey::make(now, &app.config, new)?;
    app.store.insert_key(now, open::origin(), key.digest(), record).await?;
    Ok(key)
}

async fn make_project(app: &App, now: Timestamp, user_id: &str) -> Result<Project, Error> {
    let project = Project {
        id: new_id("project"),
        user_id: user_id.to_owned(),
        name: "Example project".to_owned(),
        key_form: KeyForm::Prefixed,
        one_live_key: false,
        plan: None,
        disabled_by: None,
        created_at: now,
    };
    app.store.insert_project(now, open::origin(), project.clone()).await?;
    Ok(project)
}

/// For a proxy: reading needs `read`, everything else `write`.
fn route(method: &str, scope: &str) -> Result<Route, Error> {
    let (method, scopes) = (method.to_owned(), Scopes::parse(scope)?);
    Ok(Route { id: new_id("route"), method, pattern: "/*".to_owned(), scopes, public: false })
}

async fn make_api(app: &App, now: Timestamp) -> Result<(String, Secret), Error> {
    let scope = |name: &str, description: &str| ApiScope { name: name.to_owned(), description: description.to_owned() };
    let api = Api {
        id: new_id("api"),
        slug: "example".to_owned(),
        identifier: API.to_owned(),
        name: "Example API".to_owned(),
        profile: Profile::default(),
        algorithm: Algorithm::default(),
        access_token_seconds: 3600,
        client_id: String::new(),
        counts_introspection: false,
        scopes: vec![scope("read", "Read your data"), scope("write", "Change your data")],
        routes: Vec::new(),
    };
    let api_id = api.id.clone();
    let made = api::make(app, now, api).await?;
    for route in [route("GET", "read")?, route("*", "write")?] {
        app.store.insert_route(now, open::origin(), api_id.clone(), route, RoutePlace::Last).await?;
    }
    app.catalog.reload().await?;
    Ok(made)
}

async fn make_client(app: &App, now: Timestamp, owner_id: &str) -> Result<(String, Secret), Error> {
    let (shown, kept) = new_secret(now);
    let client = Client {
        redirect_uris: vec![RedirectUri::register(&format!("{}/apps/callback", app.config.issuer))?],
        grant_types: GrantType::ALL.to_vec(),
        scopes: Scopes::parse("read write")?,
        owner_id: Some(owner_id.to_owned()),
        secrets: vec![kept],
        ..Client::new(now, "Example app".to_owned(), ClientType::Confidential)
    };
    client_rules::may_register(&Actor::OPERATOR, &client)?;
    let id = client.id.clone();
    app.store.insert_client(now, open::origin(), client).await?;
    Ok((id, shown))
}

fn write_env(path: &Path, variables: &Variables) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::invalid_request(format!("cannot write {}: {error}", path.display()));
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    for (name, value) in variables {
        writeln!(file, "{name}={value}").map_err(failed)?;
    }
    file.sync_all().map_err(failed)
}

/// What to paste, in order.
fn instructions(issuer: &str, variables: &str) -> String {
    let value = |name: &str| {
        let found = variables.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().trim_matches('\'').to_owned()
    };
    format!(
        r#"grantd demo at {issuer}   (data in grantd-demo.db, secrets in {ENV_FILE}; stop with Ctrl-C)

1. In another terminal, in this directory: load the example's ids and secrets.

   . ./{ENV_FILE}

2. In a browser: sign in as {email} with password {password}
   and allow the example app.

   {authorize}

3. The page that follows shows a code, good for a minute. Exchange it:

   CODE=paste-it-here
   curl -sSw '\n' "$GRANTD/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=authorization_code \
     -d "code=$CODE" -d "redirect_uri=$REDIRECT_URI" -d "code_verifier=$VERIFIER" | tee tokens.json
   ACCESS_TOKEN=$(sed 's/.*"access_token":"\([^"]*\)".*/\1/' tokens.json)
   REFRESH_TOKEN=$(sed 's/.*"refresh_token":"\([^"]*\)".*/\1/' tokens.json)

4. Refresh:

   curl -sSw '\n' "$GRANTD/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=refresh_token -d "refresh_token=$REFRESH_TOKEN"

5. Be the API: ask about the token, then about the API key, at the same endpoint.

   curl -sSw '\n' "$GRANTD/oauth/introspect" -u "$API_ID:$API_SECRET" -d "token=$ACCESS_TOKEN"
   curl -sSw '\n' "$GRANTD/oauth/introspect" -u "$API_ID:$API_SECRET" -d "token=$API_KEY"

6. Be the user: is my key good? Then revoke both, and ask again.

   curl -sSw '\n' "$GRANTD/v1/users/me" -H "Authorization: Bearer $API_KEY"
   curl -sSw '\n' "$GRANTD/oauth/revoke" -u "$CLIENT_ID:$CLIENT_SECRET" -d "token=$ACCESS_TOKEN"
   curl -sSw '\n' "$GRANTD/oauth/revoke" -H "Authorization: Bearer $API_KEY" -d "token=$API_KEY"
   curl -sSw '\n' "$GRANTD/oauth/introspect" -u "$API_ID:$API_SECRET" -d "token=$ACCESS_TOKEN"
   curl -sSw '\n' "$GRANTD/oauth/introspect" -u "$API_ID:$API_SECRET" -d "token=$API_KEY"

Keys and apps have pages too: {issuer}/settings/keys and {issuer}/apps
README.md says how to put nginx in front of an API, with this server to ask: "Put it in front of your API".
"#,
        email = value("EMAIL"),
        password = value("PASSWORD"),
        authorize = value("AUTHORIZE_URL"),
    )
}
