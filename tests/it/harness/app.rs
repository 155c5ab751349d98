//! Owns the server in process: its clock stands still, its database is its own. No sockets.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, header},
};
use data_encoding::BASE64;
use grantd::{
    app::App,
    config::Config,
    engine::{
        alone, apis,
        attenuation::Attenuation,
        clients::new_secret,
        master::MasterKey,
        new_key::{self, NewKey},
        new_password::{NewPassword, PasswordOwner},
    },
    model::{
        api::{Algorithm, Api, ApiScope},
        audit::{Act, Origin},
        client::{Client, ClientType, GrantType},
        clock::{Clock, Timestamp},
        profile::Dialect,
        redirect_uri::RedirectUri,
        rule::Rule,
        scope::Scopes,
        secret::new_id,
    },
    router::router,
    store::{AuditEntry, NewUser, RulePlace},
};
use secrecy::SecretString;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tower::ServiceExt;

use super::{
    Browser, Reply,
    database::{Database, entries},
    wait::PATIENT,
};

pub const ISSUER: &str = "https://auth.example.test";
pub const API: &str = "https://api.example.test";
pub const CALLBACK: &str = "https://app.example.test/cb";
pub const PASSWORD: &str = "correct horse battery";
/// The start time of every test: 2026-11-21T00:00:00Z.
pub const START: Timestamp = Timestamp(1_795_219_200_000);

/// Timeouts that a slow machine cannot reach.
const PATIENT_LIMITS: [(&str, &str); 3] = [
    ("limits.request_seconds", PATIENT),
    ("limits.database_seconds", PATIENT),
    ("limits.shared_milliseconds", "180000"),
];

/// A client and its credentials.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    pub id: String,
    pub secret: Option<String>,
}

impl OAuthClient {
    /// The Basic header of a confidential client.
    pub fn basic(&self) -> String {
        let secret = self.secret.as_deref().expect("a confidential client");
        format!("Basic {}", BASE64.encode(format!("{}:{secret}", self.id).as_bytes()))
    }
}

/// A server in process with one API (scopes `read` and `write`) and its resource server.
pub struct TestApp {
    pub app: Arc<App>,
    pub router: Router,
    pub api: OAuthClient,
    pub database: Database,
    pub master: MasterKey,
    _stop: DropGuard,
}

impl TestApp {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With changed settings: by key, or by variable if the name begins with `GRANTD_`.
    pub async fn with(changes: &[(&str, &str)]) -> Self {
        Self::configured(changes, |_| ()).await
    }

    /// With the configuration changed after it was read, for lists, which have no text form.
    pub async fn configured(changes: &[(&str, &str)], change: impl FnOnce(&mut Config)) -> Self {
        let (variables, overrides): (Vec<_>, Vec<_>) =
            changes.iter().partition(|(name, _)| name.starts_with("GRANTD_"));
        let variables = variables.into_iter().map(|(name, value): (&str, &str)| (name.to_owned(), value.to_owned()));
        let database = Database::new().await;
        let mut all = vec![("issuer", ISSUER.to_owned()), ("database", database.url.clone())];
        all.extend(PATIENT_LIMITS.map(|(key, value)| (key, value.to_owned())));
        all.extend(overrides.into_iter().map(|(key, value): (&str, &str)| (key, value.to_owned())));
        let master = MasterKey::generate();
        all.push(("master_key", master.text().to_string()));
        let mut config = Config::load(None, variables, &all).expect("a configuration");
        change(&mut config);
        let (app, stop) = start(config, master.clone(), START).await;
        let api = make_api(&app, "Example API", API, &["read", "write"]).await;
        Self { router: router(Arc::clone(&app)), app, api, database, master, _stop: stop }
    }

    /// Another node on the same database, with its own clock.
    pub async fn beside(&self) -> Self {
        let (app, stop) = start(self.app.config.clone(), self.master.clone(), self.now()).await;
        let database = self.database.same();
        let (router, api) = (router(Arc::clone(&app)), self.api.clone());
        Self { router, app, api, database, master: self.master.clone(), _stop: stop }
    }

    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    pub fn advance(&self, seconds: i64) {
        self.app.clock.advance_seconds(seconds);
    }

    pub fn browser(&self) -> Browser<'_> {
        Browser::new(self)
    }

    /// A second API.
    pub async fn api(&self, name: &str, identifier: &str, scopes: &[&str]) -> OAuthClient {
        make_api(&self.app, name, identifier, scopes).await
    }

    /// A gateway rule, after the others of the API with this slug.
    pub async fn route(&self, slug: &str, method: &str, pattern: &str, scopes: &str, public: bool) {
        let api = self.app.catalog.current().by_slug(slug).expect("an API").id.clone();
        let scopes = Scopes::parse(scopes).expect("scopes");
        let route =
            Rule { id: new_id("route"), method: method.to_owned(), pattern: pattern.to_owned(), scopes, public };
        self.app.store.insert_rule(self.now(), Origin::default(), api, route, RulePlace::Last).await.expect("a route");
        self.app.catalog.reload().await.expect("a catalog");
    }

    /// The hash of a password that may be set.
    pub async fn hash(&self, password: &str) -> String {
        let whose = PasswordOwner { issuer: ISSUER, email: "nobody@example.com", name: "Nobody" };
        let password = NewPassword::accept(&SecretString::from(password), whose).expect("a good password");
        self.app.passwords.hash(password).await.expect("a hash")
    }

    /// A user with [`PASSWORD`]; returns its id.
    pub async fn user(&self, email: &str) -> String {
        let password = self.hash(PASSWORD).await;
        let name = email.split('@').next().unwrap_or_default().to_owned();
        let user =
            NewUser { email: email.to_owned(), name, password: Some(password), plan: "pro".to_owned(), admin: false };
        self.app.store.insert_user(self.now(), Origin::default(), user).await.expect("a user")
    }

    /// A confidential client for every grant type, with [`CALLBACK`] and both scopes.
    pub async fn confidential(&self) -> OAuthClient {
        self.client(ClientType::Confidential, |client| client.grant_types = GrantType::ALL.to_vec()).await
    }

    /// A public client with [`CALLBACK`] and both scopes.
    pub async fn public(&self) -> OAuthClient {
        self.client(ClientType::Public, |_| ()).await
    }

    /// A client, changed before it is stored.
    pub async fn client(&self, kind: ClientType, change: impl FnOnce(&mut Client)) -> OAuthClient {
        let (shown, kept) = new_secret(self.now());
        let mut client = Client::new(self.now(), "Test app".to_owned(), kind);
        client.redirect_uris = vec![RedirectUri::register(CALLBACK).expect("a URI")];
        client.scopes = Scopes::parse("read write").expect("scopes");
        let secret = (kind == ClientType::Confidential).then(|| shown.expose().to_owned());
        if secret.is_some() {
            client.secrets = vec![kept];
        }
        change(&mut client);
        let id = client.id.clone();
        self.app.store.insert_client(self.now(), Origin::default(), client).await.expect("a client");
        OAuthClient { id, secret }
    }

    /// An API key of this user; returns its id and text.
    pub async fn key(&self, user_id: &str, scopes: &str) -> (String, String) {
        self.key_with(user_id, scopes, |_| ()).await
    }

    /// An API key, changed before it is created.
    pub async fn key_with(&self, user_id: &str, scopes: &str, change: impl FnOnce(&mut NewKey)) -> (String, String) {
        let mut new = NewKey::of(user_id, "Test key", Scopes::parse(scopes).expect("scopes"));
        change(&mut new);
        let (secret, key) = new_key::create(self.now(), &self.app.config, new).expect("a key");
        let id = key.id.clone();
        self.app.store.insert_key(self.now(), Origin::default(), secret.digest(), key).await.expect("kept");
        (id, secret.expose().to_owned())
    }

    /// Sends a request from its own peer address.
    pub async fn send_from(&self, peer: &str, mut request: Request<Body>) -> Reply {
        let peer: IpAddr = peer.parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 4711)));
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        Reply::of(response).await
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        self.send_from("192.0.2.1", request).await
    }

    pub async fn get(&self, target: &str) -> Reply {
        self.send(Request::get(target).body(Body::empty()).expect("a request")).await
    }

    /// GET with a Bearer credential.
    pub async fn get_as(&self, target: &str, credential: &str) -> Reply {
        let request = Request::get(target).header(header::AUTHORIZATION, format!("Bearer {credential}"));
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    /// POST of a form without other authentication.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.send(form_request(path, form).body(encode(form)).expect("a request")).await
    }

    /// POST of a form by a client: Basic if it is confidential, else its id in the form.
    pub async fn post_as(&self, client: &OAuthClient, path: &str, form: &[(&str, &str)]) -> Reply {
        let mut form = form.to_vec();
        let request = form_request(path, &form);
        let request = match &client.secret {
            Some(_) => request.header(header::AUTHORIZATION, client.basic()),
            None => {
                form.push(("client_id", &client.id));
                request
            }
        };
        self.send(request.body(encode(&form)).expect("a request")).await
    }

    /// The introspection response to the API's resource server.
    pub async fn introspect(&self, token: &str) -> Reply {
        self.post_as(&self.api, "/oauth/introspect", &[("token", token)]).await
    }

    /// A client-credentials token of a new confidential client.
    pub async fn client_token(&self, client: &OAuthClient) -> String {
        let reply = self.post_as(client, "/oauth/token", &[("grant_type", "client_credentials")]).await;
        reply.status(200);
        reply.text("access_token")
    }

    /// The newest audit entries, newest first.
    pub async fn entries(&self, limit: usize) -> Vec<AuditEntry> {
        entries(&self.app.store, limit).await
    }

    /// Names of the newest audit entries, newest first.
    pub async fn audit(&self) -> Vec<String> {
        self.app.background.flush().await.expect("flushed");
        let entries = self.entries(200).await;
        let times = |times: i64| usize::try_from(times).expect("a count");
        entries.into_iter().flat_map(|entry| std::iter::repeat_n(entry.event, times(entry.times))).collect()
    }
}

fn form_request(path: &str, _: &[(&str, &str)]) -> axum::http::request::Builder {
    Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

/// The encoded form.
pub fn encode(form: &[(&str, &str)]) -> Body {
    Body::from(form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish())
}

async fn start(config: Config, master: MasterKey, now: Timestamp) -> (Arc<App>, DropGuard) {
    let app = Arc::new(App::new(config, master, Clock::manual(now)).await.expect("an app"));
    let stop = CancellationToken::new();
    app.background.start(&TaskTracker::new(), &stop);
    (app, stop.drop_guard())
}

async fn make_api(app: &App, name: &str, identifier: &str, scopes: &[&str]) -> OAuthClient {
    let api = Api {
        id: new_id("api"),
        slug: name.to_lowercase().replace(' ', "-"),
        identifier: identifier.to_owned(),
        name: name.to_owned(),
        profile: Dialect::shipped_default(),
        algorithm: Algorithm::default(),
        access_token_seconds: 3600,
        client_id: String::new(),
        counts_introspection: false,
        scopes: scopes
            .iter()
            .map(|name| ApiScope { name: (*name).to_owned(), description: format!("May {name}") })
            .collect(),
        rules: Arc::default(),
    };
    register_api(app, api).await
}

/// Registers an API, as the command line does.
pub async fn register_api(app: &App, api: Api) -> OAuthClient {
    let act = Act { now: app.clock.now(), origin: Origin { actor: "cli".to_owned(), ..Origin::default() } };
    let registered = apis::register(app.engine(), act, &Attenuation::OPERATOR, api, alone).await.expect("an API");
    OAuthClient { id: registered.api.client_id, secret: Some(registered.secret.expose().to_owned()) }
}
