//! Owns the callback of an app on the user's own computer: a real socket to which a browser is redirected.

use std::collections::BTreeMap;

use axum::{
    Router,
    http::Uri,
    response::{Html, Redirect},
    routing::get,
};
use tokio::{net::TcpListener, sync::mpsc};

use super::wait;

const PAGE: &str =
    "<!doctype html><html lang=en><title>App</title><link rel=icon href='data:,'><h1>Back at the app</h1>";

/// A running callback; it ends with the test.
pub struct Callback {
    pub uri: String,
    /// Redirects the browser to `uri`, at another origin.
    pub onward: String,
    came: mpsc::UnboundedReceiver<Vec<(String, String)>>,
}

impl Callback {
    pub async fn start() -> Self {
        let (send, came) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let uri = format!("http://127.0.0.1:{port}/callback");
        let onward = format!("http://localhost:{port}/onward");
        let page = get(async move |uri: Uri| {
            let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
            // The test may have ended.
            let _ = send.send(query);
            Html(PAGE)
        });
        let back = uri.clone();
        let on = get(async move |from: Uri| Redirect::to(&format!("{back}?{}", from.query().unwrap_or_default())));
        let router = Router::new().route("/callback", page).route("/onward", on);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { uri, onward, came }
    }

    /// The parameters of the next visit, each once.
    pub async fn visit(&mut self) -> BTreeMap<String, String> {
        let came = wait::in_time("a visit", self.came.recv()).await.expect("the app runs");
        let params: BTreeMap<String, String> = came.iter().cloned().collect();
        assert_eq!(params.len(), came.len(), "a parameter twice: {came:?}");
        params
    }
}
