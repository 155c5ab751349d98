//! Owns tests of limits that nodes share in Redis: exact under concurrency, and what counts while it is unreachable.
//! Redis uses its own clock, which no test moves: a test repeats until its requests fall into one window.

use std::{sync::Arc, time::Duration};

use grantd::model::{audit::Origin, plan::Plan};
use tokio::task::JoinSet;

use super::ask;
use crate::harness::{Captured, Installation, Reply, TestApp, app::PASSWORD, redis::Redis, wait};

/// How long a node waits for Redis, in milliseconds, unless that is tested.
const PATIENT: &str = "180000";

/// Attempts to fall into one window.
const ATTEMPTS: usize = 20;
/// Concurrent requests: on a busy machine, where a node may not use its cache, as many as may wait for one credential.
const AT_ONCE: usize = 100;

struct Nodes {
    redis: Redis,
    one: Arc<TestApp>,
    two: Arc<TestApp>,
}

impl Nodes {
    /// Two nodes on one Redis, and the plan `pro`.
    async fn new(failure: &str, per_hour: Option<u32>, burst: u32) -> Self {
        Self::waiting(PATIENT, failure, per_hour, burst).await
    }

    /// Two nodes that wait so many milliseconds for Redis.
    async fn waiting(milliseconds: &str, failure: &str, per_hour: Option<u32>, burst: u32) -> Self {
        let redis = Redis::start();
        // Not in the last moments of an hour, when a new quota begins.
        while redis.seconds() % 3600 >= 3570 {
            wait::at_least(Duration::from_millis(200)).await;
        }
        let shared = [
            ("limits.shared", redis.url.as_str()),
            ("limits.shared_failure", failure),
            ("limits.shared_milliseconds", milliseconds),
        ];
        let one = TestApp::with(&[&[("GRANTD_TRUSTED_PROXIES", "10.0.0.0/8")], &shared[..]].concat()).await;
        let plan = Plan { name: "pro".to_owned(), per_hour, burst };
        one.app.store.set_plan(one.now(), Origin::default(), plan).await.expect("a plan");
        one.app.catalog.reload().await.expect("a catalog");
        let two = one.beside().await;
        Self { redis, one: Arc::new(one), two: Arc::new(two) }
    }

    /// A new user's key, as a header.
    async fn key(&self) -> String {
        let user = self.one.user(&format!("{}@example.com", grantd::model::secret::random_base62(8))).await;
        format!("Bearer {}", self.one.key(&user, "read").await.1)
    }

    /// The replies to `count` concurrent requests, alternating between both nodes.
    async fn ask_at_once(&self, key: &str, count: usize) -> Vec<Reply> {
        let mut tasks = JoinSet::new();
        for n in 0..count {
            let node = Arc::clone(if n % 2 == 0 { &self.one } else { &self.two });
            let key = key.to_owned();
            tasks.spawn(async move { ask(&node, &[("authorization", &key)]).await });
        }
        tasks.join_all().await
    }

    /// The same with a new key, all within one Redis window of so many seconds, and none too late on a busy machine.
    async fn ask_within(&self, seconds: i64, count: usize) -> (String, Vec<Reply>) {
        for _ in 0..ATTEMPTS {
            let key = self.key().await;
            // Both nodes cache the key first, so that only the counting is tested.
            for node in [&self.one, &self.two] {
                node.introspect(key.trim_start_matches("Bearer ")).await.active();
            }
            let began = self.redis.seconds().div_euclid(seconds);
            let replies = self.ask_at_once(&key, count).await;
            let is_shared = |node: &TestApp| node.app.limiter.is_shared() == Some(true);
            if self.redis.seconds().div_euclid(seconds) == began && is_shared(&self.one) && is_shared(&self.two) {
                return (key, replies);
            }
            // Longer than a node pauses after losing Redis.
            wait::at_least(Duration::from_millis(1100)).await;
        }
        panic!("{count} requests never fell into {seconds} s");
    }

    /// Repeats a request until this response: background work takes a moment.
    async fn until(&self, key: &str, right: impl Fn(&Reply) -> bool) -> Reply {
        let ask = async || ask(&self.one, &[("authorization", key)]).await;
        wait::until("the answer", async || Some(ask().await).filter(&right)).await
    }
}

fn statuses(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

fn remaining(reply: &Reply) -> u32 {
    reply.header("x-ratelimit-remaining").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_the_hourly_quota_exactly() {
    // THREATS: RL3
    let nodes = Nodes::new("local", Some(40), 100_000).await;
    let (_, replies) = nodes.ask_within(3600, AT_ONCE).await;
    assert_eq!((statuses(&replies, 200), statuses(&replies, 429)), (40, AT_ONCE - 40));
    let (allowed, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    let mut left: Vec<u32> = allowed.into_iter().map(remaining).collect();
    left.sort_unstable();
    assert_eq!(left, (0..40).collect::<Vec<u32>>(), "each request was told another number");
    let now = nodes.redis.seconds();
    for reply in refused {
        let wait: i64 = reply.header("retry-after").parse().expect("seconds");
        let reset: i64 = reply.header("x-ratelimit-reset").parse().expect("seconds");
        assert_eq!((reset % 3600, remaining(reply)), (0, 0));
        assert!((reset - now - wait).abs() <= 5, "{wait} s, until {reset} from {now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_the_burst_exactly() {
    // If each node counted for itself, twice as many would pass, even if few arrive in each second.
    const BURST: usize = 2;
    let nodes = Nodes::new("local", None, 2).await;
    let key = nodes.key().await;
    let from = nodes.redis.seconds();
    let replies = nodes.ask_at_once(&key, AT_ONCE).await;
    let seconds = usize::try_from(nodes.redis.seconds() - from).expect("forwards") + 1;
    let (allowed, refused) = (statuses(&replies, 200), statuses(&replies, 429));
    assert_eq!(allowed + refused, AT_ONCE);
    assert!((BURST..=BURST * seconds).contains(&allowed), "{allowed} in {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_jump_of_one_node_neither_adds_quota_nor_blocks() {
    // THREATS: RL3
    let nodes = Nodes::new("local", Some(3), 1000).await;
    nodes.two.advance(7200);
    assert_eq!(statuses(&nodes.ask_within(3600, 10).await.1, 200), 3);
    nodes.one.advance(-7200);
    assert_eq!(statuses(&nodes.ask_within(3600, 10).await.1, 200), 3);
    // Redis's clock cannot break it either: a window that would last too long, or has ended, is replaced.
    for ends in ["1", "4000000000"] {
        let (key, replies) = nodes.ask_within(3600, 10).await;
        assert_eq!(statuses(&replies, 429), 7);
        for name in nodes.redis.ask::<Vec<String>>(&["KEYS", "*"]) {
            nodes.redis.ask::<i64>(&["HSET", &name, "end1", ends]);
        }
        ask(&nodes.one, &[("authorization", &key)]).await.status(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_entries_are_hashes_and_expire() {
    // THREATS: RL1
    let nodes = Nodes::new("local", Some(5), 1000).await;
    let key = nodes.key().await;
    ask(&nodes.one, &[("authorization", &key)]).await.status(200);
    let mut browser = nodes.one.browser();
    browser.address = "203.0.113.7".to_owned();
    let wrong = [("email", "ada@example.com"), ("password", "wrong")];
    browser.submit("/login", "/login", &wrong).await.status(401);
    let names: Vec<String> = nodes.redis.ask(&["KEYS", "*"]);
    assert_eq!(names.len(), 3, "the plan, the account, the address: {names:?}");
    for name in &names {
        let hash = name.strip_prefix("grantd:limit:{").and_then(|rest| rest.strip_suffix('}')).expect("a hash tag");
        assert!(hash.len() == 24 && hash.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{name}");
        let seconds: i64 = nodes.redis.ask(&["TTL", name]);
        assert!((1..=3601).contains(&seconds), "{seconds} s");
        let kept: Vec<String> = nodes.redis.ask(&["HVALS", name]);
        assert!(kept.iter().all(|value| value.bytes().all(|b| b.is_ascii_digit())), "{kept:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_count_on_every_node() {
    let nodes = Nodes::new("refuse", None, 1000).await;
    nodes.one.user("ada@example.com").await;
    let wrong = [("email", "ada@example.com"), ("password", "wrong")];
    let right = [("email", "ada@example.com"), ("password", PASSWORD)];
    for node in [&nodes.one, &nodes.two].into_iter().cycle().take(10) {
        node.browser().submit("/login", "/login", &wrong).await.status(401);
    }
    for node in [&nodes.one, &nodes.two] {
        node.browser().submit("/login", "/login", &right).await.page(429);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_continue_their_counts_without_redis() {
    // THREATS: AK15 RL3
    let mut nodes = Nodes::new("local", Some(10), 1000).await;
    let (key, replies) = nodes.ask_within(3600, 8).await;
    assert_eq!(statuses(&replies, 200), 8);
    // Redis's clock is not the tests' clock, so its counts continue only if both are in the same hour.
    for node in [&nodes.one, &nodes.two] {
        node.advance(nodes.redis.seconds() - node.now().seconds());
    }
    let last = ask(&nodes.one, &[("authorization", &key)]).await;
    nodes.redis.stop();
    assert_eq!(remaining(&last), 1);
    ask(&nodes.one, &[("authorization", &key)]).await.status(200);
    for _ in 0..100 {
        ask(&nodes.one, &[("authorization", &key)]).await.status(429);
    }
    // Guesses are counted by then as well.
    let wrong = [("email", "ada@example.com"), ("password", "wrong")];
    for _ in 0..10 {
        nodes.one.browser().submit("/login", "/login", &wrong).await.status(401);
    }
    nodes.one.browser().submit("/login", "/login", &wrong).await.page(429);
    nodes.redis.again();
    nodes.until(&key, |reply| reply.status == 200 && remaining(reply) == 9).await;
}

#[tokio::test]
async fn requests_without_redis_are_refused_or_allowed_as_configured() {
    // THREATS: AK15
    for (failure, status) in [("refuse", 503), ("allow", 200)] {
        let log = Captured::start();
        let mut nodes = Nodes::new(failure, Some(2), 1000).await;
        let key = nodes.key().await;
        for status in [200, 200, 429] {
            ask(&nodes.one, &[("authorization", &key)]).await.status(status);
        }
        nodes.redis.stop();
        for _ in 0..20 {
            let reply = ask(&nodes.one, &[("authorization", &key)]).await;
            reply.status(status);
            assert_eq!(reply.headers.contains_key("retry-after"), status == 503);
            assert!(!reply.headers.contains_key("x-ratelimit-limit"), "nobody knows what is left");
        }
        let introspected = nodes.one.introspect(key.trim_start_matches("Bearer ")).await;
        match status {
            503 => assert_eq!(introspected.status(503).text("error"), "temporarily_unavailable"),
            _ => assert!(introspected.active().get("rate_limit").is_none()),
        }
        // Guesses are still limited, and users can still sign in.
        nodes.one.user("ada@example.com").await;
        nodes.one.browser().log_in("ada@example.com").await;
        nodes.redis.again();
        nodes.until(&key, |reply| reply.headers.contains_key("x-ratelimit-limit")).await;
        let text = log.text();
        assert_eq!(text.matches("cannot reach the shared limits").count(), 1, "{text}");
        assert_eq!(text.matches("the shared limits are reachable again").count(), 1, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_redis_delays_one_request_only() {
    let nodes = Nodes::waiting("2000", "allow", Some(1000), 1000).await;
    let key = nodes.key().await;
    ask(&nodes.one, &[("authorization", &key)]).await.status(200);
    nodes.redis.signal("STOP");
    let asked = async {
        assert_eq!(statuses(&nodes.ask_at_once(&key, AT_ONCE).await, 200), AT_ONCE);
        // If each request waited, these would exceed any time limit.
        for _ in 0..200 {
            ask(&nodes.one, &[("authorization", &key)]).await.status(200);
        }
    };
    wait::in_time("an answer without Redis", asked).await;
    nodes.redis.signal("CONT");
    nodes.until(&key, |reply| reply.headers.contains_key("x-ratelimit-limit")).await;
}

#[tokio::test]
async fn redis_that_starts_later_is_found() {
    let mut redis = Redis::start();
    redis.stop();
    let changes = [("limits.shared", redis.url.as_str()), ("GRANTD_TRUSTED_PROXIES", "10.0.0.0/8")];
    let app = TestApp::with(&changes).await;
    let user = app.user("alice@example.com").await;
    let key = format!("Bearer {}", app.key(&user, "read").await.1);
    ask(&app, &[("authorization", &key)]).await.status(200);
    redis.again();
    wait::until("a count in Redis", async || {
        ask(&app, &[("authorization", &key)]).await.status(200);
        (!redis.ask::<Vec<String>>(&["KEYS", "*"]).is_empty()).then_some(())
    })
    .await;
}

#[test]
fn doctor_reports_whether_redis_answers() {
    let mut redis = Redis::start();
    let mut here = Installation::new();
    let says = |here: &Installation, words: &str| {
        let ran = here.run(&["doctor"]);
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    };
    says(&here, "ok    shared limits    not configured");
    here.set("GRANTD_LIMITS__SHARED", redis.url.as_str());
    says(&here, "ok    shared limits    Redis answers");
    redis.stop();
    says(&here, "fail  shared limits    Redis cannot be reached");
}

#[tokio::test]
async fn token_requests_share_counts_and_unknown_clients_use_no_redis_memory() {
    // THREATS: MN3 RL1 CA12
    let redis = Redis::start();
    let changes = [("limits.shared", redis.url.as_str()), ("limits.token_requests_per_client", "4")];
    let one = TestApp::with(&changes).await;
    let two = one.beside().await;
    let own = [("grant_type", "client_credentials")];
    for _ in 0..ATTEMPTS {
        let client = one.confidential().await;
        redis.ask::<String>(&["FLUSHALL"]);
        let began = redis.seconds();
        let mut statuses = Vec::new();
        for at in 0..6 {
            let node = if at % 2 == 0 { &one } else { &two };
            statuses.push(node.post_as(&client, "/oauth/token", &own).await.status.as_u16());
        }
        for name in 0..50 {
            let invented = format!("client_{name}");
            let form = [own[0], ("client_id", invented.as_str()), ("client_secret", "wrong")];
            one.post("/oauth/token", &form).await.oauth_error("invalid_client");
        }
        let names = redis.ask::<Vec<String>>(&["KEYS", "*"]).len();
        let is_shared = |node: &TestApp| node.app.limiter.is_shared() == Some(true);
        // If a node lost Redis meanwhile, or the minute ended, the attempt shows nothing.
        if is_shared(&one) && is_shared(&two) && redis.seconds() - began < 60 {
            assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
            assert_eq!(names, 2, "the client that exists, and the sender of the others");
            return;
        }
        // Longer than a node pauses after losing Redis.
        wait::at_least(Duration::from_millis(1100)).await;
    }
    panic!("the nodes never counted together for a minute");
}
