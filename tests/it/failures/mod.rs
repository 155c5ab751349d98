//! Owns tests of database failures: 503 instead of guessing, then recovery without intervention.

mod embedded;
#[cfg(feature = "services")]
mod postgres;

use crate::harness::{
    Installation, OAuthClient, Reply,
    app::CALLBACK,
    prepare,
    process::{Server, now},
    wait,
};

/// The server's database timeout in seconds; then requests are answered 503.
const GIVES_UP_AFTER: &str = "2";

/// A server with one credential of each kind.
struct Case {
    server: Server,
    api: OAuthClient,
    client: OAuthClient,
    code: String,
    refresh: String,
    access: String,
    key: String,
}

impl Case {
    async fn new(here: &Installation) -> Self {
        let (api, user) = (here.api(), here.user("alice@example.com"));
        let client = here.client(&["--redirect-uri", CALLBACK, "--refresh-grace", "0"]);
        let (_, key) = here.key("alice@example.com");
        let (store, tokens) = (here.store().await, here.grant_tokens());
        let code = prepare::code(&store, &tokens, now(), &user, &client.id).await;
        let other = prepare::code(&store, &tokens, now(), &user, &client.id).await;
        let server = here.serve().await;
        let exchanged = server.try_exchange(&client, &other).await.expect("a reply");
        let (access, refresh) = (exchanged.text("access_token"), exchanged.text("refresh_token"));
        server.introspect(&api, &access).await.active();
        server.introspect(&api, &key).await.active();
        Self { server, api, client, code, refresh, access, key }
    }

    /// Asserts that every write is answered 503 in time.
    async fn assert_no_writes(&self) {
        let token = [("token", self.access.as_str())];
        let asked = async {
            tokio::join!(
                self.server.try_exchange(&self.client, &self.code),
                self.server.try_refresh(&self.client, &self.refresh),
                self.server.try_post_as(&self.client, "/oauth/revoke", &token),
                self.server.try_revoke_key(&self.key),
            )
        };
        let (exchange, refresh, revoke, revoke_key) = wait::in_time("an answer", asked).await;
        for reply in [exchange, refresh, revoke, revoke_key] {
            assert_unavailable(&reply.expect("a reply"));
        }
        self.server.get("/livez").await.status(200);
    }

    /// Waits until writes work again, and asserts that refused writes did not happen.
    async fn assert_recovers(&self) {
        let ask = async || self.server.try_refresh(&self.client, &self.refresh).await.expect("a reply");
        let answered = async || Some(ask().await).filter(|reply| reply.status != 503);
        let refreshed = wait::until("a database that works", answered).await;
        refreshed.status(200);
        self.server.try_exchange(&self.client, &self.code).await.expect("a reply").status(200);
        self.server.get("/readyz").await.status(200);
        for credential in [&self.access, &self.key] {
            self.server.introspect(&self.api, credential).await.active();
        }
        self.server.try_revoke_key(&self.key).await.expect("a reply").status(200);
        self.server.introspect(&self.api, &self.key).await.inactive();
    }
}

/// 503 with Retry-After, and nothing about the credential or the cause.
#[track_caller]
fn assert_unavailable(reply: &Reply) {
    reply.status(503);
    assert!(reply.header("retry-after").parse::<u64>().is_ok(), "{reply:?}");
    assert!(!reply.body.contains("active") && !reply.body.to_lowercase().contains("sql"), "{}", reply.body);
    assert_eq!(reply.json()["error"], "temporarily_unavailable");
}
