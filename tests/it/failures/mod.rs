//! Owns what happens when the database fails: 503 and never a guess, then recovery without anybody's hand.

mod embedded;
#[cfg(feature = "services")]
mod postgres;

use std::time::{Duration, Instant};

use crate::harness::{
    Installation, OAuthClient, Reply,
    app::CALLBACK,
    prepare,
    process::{Server, now},
};

/// Longest wait for an answer, whatever has failed.
const BOUND: Duration = Duration::from_secs(5);

/// A server with something of every kind to ask it about.
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

    /// Asserts that whatever writes is told to try again, within [`BOUND`].
    async fn assert_no_writes(&self) {
        let began = Instant::now();
        let token = [("token", self.access.as_str())];
        let (exchange, refresh, revoke, revoke_key) = tokio::join!(
            self.server.try_exchange(&self.client, &self.code),
            self.server.try_refresh(&self.client, &self.refresh),
            self.server.try_post_as(&self.client, "/oauth/revoke", &token),
            self.server.try_revoke_key(&self.key),
        );
        for reply in [exchange, refresh, revoke, revoke_key] {
            assert_unavailable(&reply.expect("a reply"));
        }
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
        self.server.get("/livez").await.status(200);
    }

    /// Waits until writes work again, and asserts that what was refused did not happen.
    async fn assert_recovers(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        let refreshed = loop {
            let reply = self.server.try_refresh(&self.client, &self.refresh).await.expect("a reply");
            if reply.status != 503 {
                break reply;
            }
            assert!(Instant::now() < until, "{reply:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
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

/// 503 with a time to try again, and no word about the credential or the cause.
#[track_caller]
fn assert_unavailable(reply: &Reply) {
    reply.status(503);
    assert!(reply.header("retry-after").parse::<u64>().is_ok(), "{reply:?}");
    assert!(!reply.body.contains("active") && !reply.body.to_lowercase().contains("sql"), "{}", reply.body);
    assert_eq!(reply.json()["error"], "temporarily_unavailable");
}
