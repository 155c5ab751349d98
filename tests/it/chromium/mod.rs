//! Owns tests in a real browser, on a desktop and on a phone: pages, scripts, content security policy, the real server.
//! What pages refuse is tested without a browser; see `web`.

mod consent;
mod entry;
mod keys;
mod own_apps;
mod pages;
mod projects;

use crate::harness::{
    Installation, OAuthClient,
    app::PASSWORD,
    chromium::{Screen, Window},
    flow::{VERIFIER, authorize_url},
    process::Server,
};

const EMAIL: &str = "ada@example.com";

/// A server with an API and a user, and the user's window.
struct Place {
    here: Installation,
    server: Server,
    api: OAuthClient,
    user_id: String,
    window: Window,
}

impl Place {
    async fn new(screen: Screen) -> Self {
        Self::seen_in(Window::open(screen).await).await
    }

    async fn seen_in(window: Window) -> Self {
        let here = Installation::new();
        let api = here.api();
        let user_id = here.user(EMAIL);
        let server = here.serve().await;
        Self { here, server, api, user_id, window }
    }

    async fn goto(&self, path: &str) {
        self.window.goto(&format!("{}{path}", self.server.base)).await;
    }

    /// Signs in without an app.
    async fn sign_in(&self) {
        self.goto("/login").await;
        self.window.page("Sign in").await;
        sign_in(&self.window, PASSWORD).await;
        self.window.page("API keys").await;
    }

    /// A confidential app called "Test app" with this redirect URI.
    fn app(&self, uri: &str) -> OAuthClient {
        self.here.client(&["--redirect-uri", uri, "--scope", "read", "--scope", "write"])
    }

    /// Opens the address to which this app sends its users.
    async fn start(&self, client: &OAuthClient, uri: &str) {
        self.goto(&authorize_url(client, &[("redirect_uri", uri)])).await;
    }

    /// Access and refresh token for a code.
    async fn exchange(&self, client: &OAuthClient, uri: &str, code: &str) -> (String, String) {
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", uri), ("code_verifier", VERIFIER)];
        let reply = self.server.post_as(client, "/oauth/token", &form).await;
        reply.status(200);
        (reply.text("access_token"), reply.text("refresh_token"))
    }
}

/// Fills in the sign-in page.
async fn sign_in(window: &Window, password: &str) {
    window.fill("#email", EMAIL).await;
    window.fill("#password", password).await;
    window.press("Sign in").await;
}
