//! Owns the API behind a proxy in tests: the documents' users, and an echo of the request for every other path.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::Uri,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{runtime::Builder, sync::oneshot};

const BODY_MAX: usize = 1 << 20;

/// A received request.
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
    _stop: oneshot::Sender<()>,
}

impl Upstream {
    /// On its own thread, so that it answers programs for which a test waits.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let (seen, (stop, stopped)) = (Arc::default(), oneshot::channel::<()>());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { port, seen, _stop: stop }
    }

    /// The requests received since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().expect("not poisoned"))
    }

    /// The one request received since the last call.
    #[track_caller]
    pub fn one(&self) -> Seen {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

impl Seen {
    /// Every value of a header in any spelling of its name: many programs treat `_` and `-` alike.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |other: &str| other.replace('_', "-") == name;
        self.headers.iter().filter(|(other, _)| same(other)).map(|(_, value)| value.as_str()).collect()
    }

    /// A header's one value; empty if absent.
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
    // Headers that an API may send, and that a proxy with grantd replaces.
    let own = [("x-ratelimit-limit", "7"), ("x-ratelimit-remaining", "7"), ("ratelimit", "7"), ("x-request-id", "own")];
    (own, Json(answer)).into_response()
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
