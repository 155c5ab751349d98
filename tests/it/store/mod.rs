//! Owns tests of the store, written once and run on each engine: on SQLite always, on PostgreSQL with `services`.

use std::sync::Arc;

use aws_lc_rs::hmac;
use grantd::{
    engine::clients::new_secret,
    model::{
        api::{Algorithm, Api, ApiScope},
        audit::Origin,
        client::{Client, ClientType},
        clock::Timestamp,
        profile::Dialect,
        redirect_uri::RedirectUri,
        scope::Scopes,
        secret::new_id,
    },
    store::{NewUser, Store},
};

use crate::harness::{
    app::{API, CALLBACK, START},
    database::{Database, entries},
};

/// Creates a test from each of these functions on each engine.
macro_rules! on_each_engine {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::store::Base::new($crate::harness::database::Database::sqlite()).await).await;
            })*
        }
        #[cfg(feature = "services")]
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::store::Base::new($crate::harness::database::Database::postgres().await).await).await;
            })*
        }
    };
}

mod bulk;
mod census;
mod ended;
mod feed;
mod grant_limit;
mod grants;
mod idempotency;
mod imported;
mod keys;
mod records;
mod stale;
mod upgraded;

/// The time of every test.
const NOW: Timestamp = START;

/// The hash of every new user's password.
const PASSWORD: &str = "$argon2id$…";

/// A database with a user, an API and a client.
struct Base {
    store: Arc<Store>,
    database: Database,
    user: String,
    client: String,
}

impl Base {
    async fn new(database: Database) -> Self {
        let store = crate::harness::database::open(&database.url).await.expect("a store");
        let user = store.insert_user(NOW, who(), new_user("alice@example.com")).await.expect("a user");
        let (api, resource_server) = new_api("example", API, &["read", "write"]);
        store.insert_api(NOW, who(), api, resource_server).await.expect("an API");
        let client = new_client();
        let id = client.id.clone();
        store.insert_client(NOW, who(), client).await.expect("a client");
        Self { store: Arc::new(store), database, user, client: id }
    }

    /// The same database as another node sees it.
    async fn other_node(&self) -> Store {
        crate::harness::database::open(&self.database.url).await.expect("a store")
    }

    /// The database with no statement prepared before.
    async fn other_view(&self) -> Store {
        Store::look(&self.database.url).await.expect("a store")
    }

    /// Seals the audit log, as the server does in the background.
    async fn seal(&self) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"a key of the test");
        while self.store.seal_audit(NOW, &key).await.expect("sealed") {}
    }

    /// Names of the newest audit entries, newest first.
    async fn audit(&self, count: usize) -> Vec<String> {
        entries(&self.store, count).await.into_iter().map(|entry| entry.event).collect()
    }
}

fn who() -> Origin {
    Origin { actor: "test".to_owned(), address: "192.0.2.1".to_owned(), request_id: "req_1".to_owned() }
}

fn new_user(email: &str) -> NewUser {
    NewUser {
        email: email.to_owned(),
        name: "Alice".to_owned(),
        password: Some(PASSWORD.to_owned()),
        plan: "free".to_owned(),
        admin: false,
    }
}

fn new_client() -> Client {
    Client {
        redirect_uris: vec![RedirectUri::register(CALLBACK).expect("a URI")],
        scopes: Scopes::parse("read write").expect("scopes"),
        secrets: vec![new_secret(NOW).1],
        ..Client::new(NOW, "Test app".to_owned(), ClientType::Confidential)
    }
}

fn new_api(slug: &str, identifier: &str, scopes: &[&str]) -> (Api, Client) {
    let id = new_id("api");
    let client = Client {
        grant_types: Vec::new(),
        api_id: Some(id.clone()),
        ..Client::new(NOW, "Resource server".to_owned(), ClientType::Confidential)
    };
    let api = Api {
        id,
        slug: slug.to_owned(),
        identifier: identifier.to_owned(),
        name: "Example API".to_owned(),
        profile: Dialect::shipped_default(),
        algorithm: Algorithm::default(),
        access_token_seconds: 3600,
        client_id: client.id.clone(),
        counts_introspection: false,
        rules: Arc::default(),
        scopes: scopes
            .iter()
            .map(|name| ApiScope { name: (*name).to_owned(), description: "May".to_owned() })
            .collect(),
    };
    (api, client)
}
