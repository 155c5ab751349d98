//! Owns the API that stands behind a proxy in tests: the documents' users, and for every other path what it was asked.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::Uri,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const BODY_MAX: usize = 1 << 20;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// The target, byte for byte.
    pub target: String,
    /// In lower case, in order, with repeats.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// A running API; it ends with the test.
pub struct Upstream {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::default();
        let router = Router::new().fallback(get(answer).fallback(answer)).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, seen }
    }

    /// What arrived since this was last asked.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().expect("not poisoned"))
    }

    /// The one request that arrived since this was last asked.
    #[track_caller]
    pub fn one(&self) -> Seen {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

impl Seen {
    /// Every value of a header, whichever way its name is written: many programs take `_` and `-` for the same.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |other: &str| other.replace('_', "-") == name;
        self.headers.iter().filter(|(other, _)| same(other)).map(|(_, value)| value.as_str()).collect()
    }

    /// A header's one value; empty where there is none.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} more than once: {self:?}");
        all.first().copied().unwrap_or_default()
    }
}

async fn answer(State(seen): State<Arc<Mutex<Vec<Seen>>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let body = axum::body::to_bytes(body, BODY_MAX).await.unwrap_or_default();
    let this = Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        body: text(&body),
    };
    let answer = known(&parts.uri).unwrap_or_else(
        || json!({ "method": this.method, "target": this.target, "headers": this.headers, "body": this.body }),
    );
    seen.lock().expect("not poisoned").push(this);
    Json(answer).into_response()
}

/// The documents' resources.
fn known(uri: &Uri) -> Option<Value> {
    let ada = json!({ "id": "123", "name": "Ada Lovelace" });
    match uri.path() {
        "/v1/users" => Some(json!([ada])),
        "/v1/users/123" => Some(ada),
        _ => None,
    }
}
