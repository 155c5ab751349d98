//! Owns tests of several nodes on one PostgreSQL database: single use, concurrent start, consistency within a second.

use std::time::Duration;

use grantd::{engine::grant_token::GrantTokens, store::Store};
use tokio::task::JoinSet;

use crate::harness::{
    Installation, OAuthClient, Reply,
    app::CALLBACK,
    prepare,
    process::{Server, now},
    wait,
};

const ROUNDS: usize = 60;
const INACTIVE: &str = r#"{"active":false}"#;
/// Concurrent tasks on each node.
const TASKS: usize = 8;

/// Two nodes, a user, an API and a client.
struct Nodes {
    here: Installation,
    one: Server,
    two: Server,
    store: Store,
    tokens: GrantTokens,
    user: String,
    api: OAuthClient,
}

impl Nodes {
    async fn new() -> Self {
        let here = Installation::on_postgres().await;
        let (api, user) = (here.api(), here.user("alice@example.com"));
        let one = here.serve().await;
        let two = here.serve_also().await;
        Self { one, two, store: here.store().await, tokens: here.grant_tokens(), user, api, here }
    }

    async fn code(&self, client: &OAuthClient) -> String {
        prepare::code(&self.store, &self.tokens, now(), &self.user, &client.id).await
    }

    /// The replies of both nodes to the same form, sent [`TASKS`] times to each at once.
    async fn race(&self, client: &OAuthClient, form: &[(&str, &str)]) -> Vec<Reply> {
        let mut tasks = JoinSet::new();
        for n in 0..TASKS * 2 {
            let node = if n % 2 == 0 { &self.one } else { &self.two };
            let request = node.http.post(format!("{}/oauth/token", node.base)).form(form);
            let request = request.basic_auth(&client.id, client.secret.as_ref());
            tasks.spawn(async move {
                let response = request.send().await.expect("a reply");
                let (status, headers) = (response.status(), response.headers().clone());
                Reply { status, headers, body: response.text().await.expect("a body") }
            });
        }
        tasks.join_all().await
    }

    async fn race_code(&self, client: &OAuthClient, code: &str) -> Vec<Reply> {
        let verifier = crate::harness::flow::VERIFIER;
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        self.race(client, &[&form[..], &[("code_verifier", verifier)]].concat()).await
    }

    async fn race_refresh(&self, client: &OAuthClient, token: &str) -> Vec<Reply> {
        self.race(client, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Asserts that nothing in this reply works any more, on either node.
    async fn assert_dead(&self, client: &OAuthClient, won: &Reply) {
        for node in [&self.one, &self.two] {
            let refreshed = node.try_refresh(client, &won.text("refresh_token")).await.expect("a reply");
            refreshed.oauth_error("invalid_grant");
        }
    }
}

/// The one reply that is 200; every other is `invalid_grant`.
#[track_caller]
fn winner(replies: &[Reply]) -> &Reply {
    let (won, lost): (Vec<&Reply>, Vec<&Reply>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!(won.len(), 1, "{won:?}");
    for reply in lost {
        reply.oauth_error("invalid_grant");
    }
    won[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_redeemed_on_one_node_only() {
    // THREATS: MN1 MN3
    let nodes = Nodes::new().await;
    let client = nodes.here.client_with_grace(true).await;
    for _ in 0..ROUNDS {
        let code = nodes.code(&client).await;
        let replies = nodes.race_code(&client, &code).await;
        nodes.assert_dead(&client, winner(&replies)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_token_without_grace_rotates_on_one_node_only() {
    // THREATS: MN2 MN3
    let nodes = Nodes::new().await;
    let client = nodes.here.client_with_grace(false).await;
    for _ in 0..ROUNDS {
        let code = nodes.code(&client).await;
        let token = nodes.two.try_exchange(&client, &code).await.expect("a reply").text("refresh_token");
        let replies = nodes.race_refresh(&client, &token).await;
        nodes.assert_dead(&client, winner(&replies)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_return_the_same_successor_within_the_grace_window() {
    let nodes = Nodes::new().await;
    let client = nodes.here.client_with_grace(true).await;
    let code = nodes.code(&client).await;
    let mut token = nodes.one.try_exchange(&client, &code).await.expect("a reply").text("refresh_token");
    for _ in 0..ROUNDS {
        let replies = nodes.race_refresh(&client, &token).await;
        for reply in &replies {
            reply.status(200);
        }
        let mut successors: Vec<String> = replies.iter().map(|reply| reply.text("refresh_token")).collect();
        successors.dedup();
        assert_eq!(successors.len(), 1, "one head");
        token = successors.remove(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotent_request_to_both_nodes_creates_one_key() {
    // THREATS: MN3
    let nodes = Nodes::new().await;
    let create = ["key", "create", "--user", "alice@example.com", "--scope", "read", "--scope", "grantd:keys:write"];
    let made = nodes.here.json(&create);
    let key = made["key"].as_str().expect("a key");
    let count = async || nodes.here.database().column("SELECT COUNT(*) FROM api_keys").await;
    assert_eq!(count().await, ["1"]);
    for round in 0..10 {
        let mut tasks = JoinSet::new();
        for n in 0..TASKS * 2 {
            let node = if n % 2 == 0 { &nodes.one } else { &nodes.two };
            let request = node.http.post(format!("{}/api/v1/keys", node.base)).bearer_auth(key);
            let request = request.header("idempotency-key", format!("round-{round}"));
            let request = request.header("content-type", "application/json").body(r#"{"scopes":["read"]}"#);
            tasks.spawn(async move {
                let response = request.send().await.expect("a reply");
                (response.status().as_u16(), response.text().await.expect("a body"))
            });
        }
        let replies = tasks.join_all().await;
        assert!(replies.iter().all(|reply| reply == &replies[0] && reply.0 == 201), "{replies:?}");
        assert_eq!(count().await, [(round + 2).to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_ended_by_a_deadlock_is_retried() {
    // THREATS: ST4
    let nodes = Nodes::new().await;
    let client = nodes.here.client_with_grace(false).await;
    let pool = sqlx::PgPool::connect(nodes.here.variable("GRANTD_DATABASE_URL")).await.expect("the database");
    // PostgreSQL looks for a deadlock once, a second after a wait began. On a busy machine this side may begin to wait
    // only later; then there was none, and it is tried again.
    for round in 1..=ROUNDS {
        let was_deadlock = revoke_in_a_deadlock(&nodes, &client, &pool).await;
        let revocations = "SELECT COUNT(*) FROM audit WHERE event = 'grant.revoke'";
        let count: i64 = sqlx::query_scalar(revocations).fetch_one(&pool).await.expect("a count");
        assert_eq!(usize::try_from(count).expect("a count"), round);
        if was_deadlock {
            return;
        }
    }
    panic!("there was no deadlock");
}

/// Revokes a grant while another transaction holds the feed and wants the grant. Returns whether the server's
/// transaction was ended for it.
async fn revoke_in_a_deadlock(nodes: &Nodes, client: &OAuthClient, pool: &sqlx::PgPool) -> bool {
    let code = nodes.code(client).await;
    let exchanged = nodes.one.try_exchange(client, &code).await.expect("a reply");
    let (access, refresh) = (exchanged.text("access_token"), exchanged.text("refresh_token"));
    let mut other = pool.begin().await.expect("a transaction");
    // PostgreSQL does not end this side.
    let hold = "SET LOCAL deadlock_timeout = '100s'; UPDATE feed SET seq = seq; SET LOCAL lock_timeout = '5s'";
    sqlx::raw_sql(hold).execute(&mut *other).await.expect("held");
    let form = [("token", refresh.as_str())];
    let revoke = nodes.one.try_post_as(client, "/oauth/revoke", &form);
    let cross = async {
        wait::until("a transaction that waits for the feed", async || {
            let waiting =
                "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let count: i64 = sqlx::query_scalar(waiting).fetch_one(pool).await.expect("a count");
            (count > 0).then_some(())
        })
        .await;
        // The server has locked the grant: each side now waits for the other. This succeeds only if PostgreSQL ends the
        // server's transaction.
        let was_deadlock = sqlx::raw_sql("UPDATE grants SET id = id").execute(&mut *other).await.is_ok();
        other.rollback().await.expect("rolled back");
        was_deadlock
    };
    let (revoked, was_deadlock) = tokio::join!(revoke, cross);
    revoked.expect("a reply").status(200);
    nodes.one.introspect(&nodes.api, &access).await.inactive();
    was_deadlock
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_on_one_node_holds_on_the_other() {
    // THREATS: AK10
    let nodes = Nodes::new().await;
    let client = nodes.here.client_with_grace(true).await;
    for _ in 0..5 {
        let (_, key) = nodes.here.key("alice@example.com");
        let code = nodes.code(&client).await;
        let token = nodes.one.try_exchange(&client, &code).await.expect("a reply").text("access_token");
        for credential in [&key, &token] {
            nodes.two.introspect(&nodes.api, credential).await.active();
        }
        nodes.one.try_revoke_key(&key).await.expect("a reply").status(200);
        nodes.one.post_as(&client, "/oauth/revoke", &[("token", &token)]).await.status(200);
        for credential in [&key, &token] {
            nodes.one.introspect(&nodes.api, credential).await.inactive();
        }
        // Within a second, which `cache` and `credentials::spread` test with their own clock.
        for credential in [&key, &token] {
            let answer = async || nodes.two.introspect(&nodes.api, credential).await;
            wait::until("the other node's refusal", async || (answer().await.body == INACTIVE).then_some(())).await;
        }
        // Repeated requests fill the cache repeatedly: no fill may revive what was revoked.
        for credential in [&key, &token].into_iter().cycle().take(200) {
            nodes.two.introspect(&nodes.api, credential).await.inactive();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnected_node_does_not_use_its_cache() {
    // THREATS: AK10
    let nodes = Nodes::new().await;
    let (_, key) = nodes.here.key("alice@example.com");
    nodes.two.introspect(&nodes.api, &key).await.active();
    nodes.two.signal("STOP");
    nodes.one.try_revoke_key(&key).await.expect("a reply").status(200);
    // Longer than a node may use its cache.
    wait::at_least(Duration::from_millis(1100)).await;
    nodes.two.signal("CONT");
    nodes.two.introspect(&nodes.api, &key).await.inactive();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_started_together_on_an_empty_database_agree() {
    // THREATS: MN4
    for _ in 0..10 {
        let here = Installation::on_postgres().await;
        let (mut one, mut two) = (here.start(here.port), here.start(crate::harness::process::free_port()));
        one.ready().await;
        two.ready().await;
        let jwks = one.get("/.well-known/jwks.json").await;
        assert_eq!(jwks.json()["keys"].as_array().map(Vec::len), Some(1), "{}", jwks.body);
        assert_eq!(two.get("/.well-known/jwks.json").await.body, jwks.body);
        let audit = here.json(&["audit"]).to_string();
        assert_eq!(audit.matches("signing_key.create").count(), 1, "{audit}");
        let api = here.api();
        let machine = here.client(&["--grant-type", "client_credentials"]);
        let token = wait::until("the new client", async || {
            let asked = one.post_as(&machine, "/oauth/token", &[("grant_type", "client_credentials")]).await;
            (asked.status == 200).then(|| asked.text("access_token"))
        });
        let token = token.await;
        let answer = async || two.introspect(&api, &token).await;
        wait::until("the new API", async || (answer().await.body != INACTIVE).then_some(())).await;
        assert!(one.stop().success() && two.stop().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_replaced_hold_at_every_node() {
    // THREATS: FA5
    let nodes = Nodes::new().await;
    let (_, key) = nodes.here.key("alice@example.com");
    let each = [&nodes.one, &nodes.two];
    let decided = async |node: &Server, path: &str| {
        node.get_as(&format!("/gateway/verify/example-api{path}"), &key).await.status.as_u16()
    };
    for (rules, decisions) in [
        ("[{ path: /a, scopes: [write] }, { path: /b, scopes: [read] }]", [403, 200, 403]),
        ("[{ path: \"/*\", scopes: [read] }]", [200, 200, 200]),
        ("[{ path: /c, public: true }]", [403, 403, 200]),
    ] {
        std::fs::write(nodes.here.path("rules.yaml"), format!("rules: {rules}\n")).expect("written");
        nodes.here.json(&["api", "routes", "import", "rules.yaml", "--apply"]);
        for node in each {
            // All of them at once: no node decides by rules of before and of now.
            wait::until("the new rules", async || (decided(node, "/a").await == decisions[0]).then_some(())).await;
            assert_eq!([decided(node, "/a").await, decided(node, "/b").await, decided(node, "/c").await], decisions);
        }
    }
}
