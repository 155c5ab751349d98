//! Owns tests of PostgreSQL failures: it is down, it hangs, it was never there. Each test has its own server to break.

use std::time::Duration;

use tempfile::TempDir;

use super::{Case, GIVES_UP_AFTER, assert_unavailable};
use crate::harness::{
    Installation,
    database::{Database, postgres},
    process::script,
    wait,
};

/// A PostgreSQL server for one test; stopped when dropped.
struct Cluster {
    dir: TempDir,
    url: String,
}

impl Cluster {
    fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        let url = script("tests/postgres", &["start", dir.path().to_str().expect("a path")]);
        Self { dir, url }
    }

    fn run(&self, word: &str) {
        script("tests/postgres", &[word, self.dir.path().to_str().expect("a path")]);
    }

    async fn installation(&self) -> Installation {
        let database = Database { url: postgres(&self.url).await, dir: TempDir::new().expect("a directory") };
        let mut here = Installation::on(database);
        here.set("GRANTD_LIMITS__DATABASE_SECONDS", GIVES_UP_AFTER);
        here
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.dir.path().join("data/postmaster.pid").exists() {
            self.run("stop");
        }
    }
}

/// Asserts that requests that need the database fail, and all others work.
async fn assert_no_answers(case: &Case) {
    let asked = async {
        tokio::join!(
            case.server.introspect(&case.api, &case.key),
            case.server.introspect(&case.api, &case.access),
            case.server.introspect(&case.api, "garbage"),
            case.server.get("/readyz"),
        )
    };
    let (key, token, garbage, ready) = wait::in_time("an answer", asked).await;
    for reply in [key, token, garbage, ready] {
        assert_unavailable(&reply);
    }
    case.server.get("/.well-known/jwks.json").await.status(200);
    case.server.get("/.well-known/oauth-authorization-server").await.status(200);
}

#[tokio::test]
async fn database_outage_is_reported_and_recovered_from() {
    // THREATS: ST3
    let cluster = Cluster::new();
    let case = Case::new(&cluster.installation().await).await;
    cluster.run("stop");
    case.assert_no_writes().await;
    // For a second the node may still use its cache.
    wait::at_least(Duration::from_secs(1)).await;
    assert_no_answers(&case).await;
    case.assert_no_writes().await;
    cluster.run("start");
    case.assert_recovers().await;
}

#[tokio::test]
async fn hanging_database_is_bounded_by_timeouts() {
    // THREATS: ST3
    let cluster = Cluster::new();
    let case = Case::new(&cluster.installation().await).await;
    cluster.run("pause");
    case.assert_no_writes().await;
    assert_no_answers(&case).await;
    // More callers than there are connections.
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let request = case.server.http.get(format!("{}/v1/users/me", case.server.base)).bearer_auth(&case.key);
        callers.spawn(async move { request.send().await.expect("a reply").status().as_u16() });
    }
    let told = wait::in_time("an answer", callers.join_all()).await;
    assert!(told.iter().all(|status| *status == 503), "{told:?}");
    cluster.run("resume");
    case.assert_recovers().await;
}

#[tokio::test]
async fn node_without_a_database_does_not_start() {
    let cluster = Cluster::new();
    let here = cluster.installation().await;
    cluster.run("stop");
    let error = here.refused(&["serve"]);
    assert!(error.contains("Connection refused"), "{error}");
}
