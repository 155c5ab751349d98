//! Owns tests of starting and stopping the server: master key, empty database, invalid configuration, graceful stop.

use std::{fs, os::unix::fs::PermissionsExt};

use grantd::model::clock::Timestamp;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::harness::{Installation, process::free_port, wait};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn mode(path: &std::path::Path) -> u32 {
    path.metadata().expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn master_key_file_is_created_once_and_private() {
    // THREATS: SR1
    let mut here = Installation::new();
    here.unset("GRANTD_MASTER_KEY");
    here.serve().await.kill();
    let file = here.path("grantd.db.key");
    assert_eq!((mode(&file), mode(&here.path("grantd.db"))), (0o600, 0o600));
    let key = fs::read_to_string(&file).expect("a key");
    here.serve().await.kill();
    assert_eq!(fs::read_to_string(&file).expect("a key"), key, "made once");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("changed");
    assert!(here.refused(&["serve"]).contains("chmod 600"));
}

#[tokio::test]
async fn wrong_master_key_prevents_the_start() {
    // THREATS: SR1
    let mut here = Installation::new();
    here.serve().await.kill();
    for (key, words) in [
        ("9vL0yXgq4cYwz7bWzJt1mC5oHcZk0Q8sTn3uRfEaPdI=", "the master key does not match this database"),
        ("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "the master key is not random"),
        ("short", "32 random bytes in base64"),
    ] {
        here.set("GRANTD_MASTER_KEY", key);
        let error = here.refused(&["serve"]);
        assert!(error.contains(words) && !error.contains(key), "{error}");
    }
    // Without the key file no new one is created: it could not match either.
    here.unset("GRANTD_MASTER_KEY");
    assert!(here.refused(&["serve"]).contains("grantd.db.key is missing"));
}

#[tokio::test]
async fn empty_database_has_no_users_and_prints_first_steps() {
    // THREATS: SR5
    let here = Installation::new();
    let server = here.serve().await;
    let log = server.log();
    assert!(log.contains("The database is empty") && log.contains("grantd user create"), "{log}");
    assert_eq!(here.json(&["user", "list"])["items"], json!([]));
    assert_eq!(here.json(&["client", "list"])["items"], json!([]));
    for path in ["/setup", "/install", "/admin", "/signup"] {
        assert_ne!(server.get(path).await.status, 200, "{path}");
    }
}

#[test]
fn invalid_value_prevents_the_start_with_a_remedy() {
    for (name, value, words) in [
        ("GRANTD_ISSUER", "http://auth.example.com", "issuer: an https URL, or http on loopback"),
        ("GRANTD_LISTEN", "nowhere", "listen"),
        ("GRANTD_DATABASE_URL", "mysql://x", "database: sqlite:PATH or postgres://"),
        ("GRANTD_LIFETIMES__CODE_SECONDS", "0", "lifetimes.code_seconds: 1 to 600 seconds"),
        ("GRANTD_LIMITS__REQUEST_SECONDS", "x", "request_seconds"),
        ("GRANTD_LOG", "grantd=loud", "log: a level such as info"),
        ("GRANTD_CONFIG", "missing.toml", "missing.toml"),
    ] {
        let mut here = Installation::new();
        here.set(name, value);
        let error = here.refused(&["serve"]);
        assert!(error.starts_with("grantd: ") && error.contains(words), "{name}={value}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let mut here = Installation::new();
    here.set("GRANTD_DATABASE_URL", "postgres://127.0.0.1:1/x");
    here.unset("GRANTD_MASTER_KEY");
    assert!(here.refused(&["serve"]).contains("master_key is required with PostgreSQL"));
    here.set("GRANTD_DATABASE_URL", "sqlite:/nowhere/grantd.db");
    assert!(here.refused(&["user", "list"]).contains("/nowhere/grantd.db"));
}

#[tokio::test]
async fn graceful_stop_finishes_requests_and_writes_counts() {
    let here = Installation::new();
    let api = here.api();
    here.user("alice@example.com");
    let (_, key) = here.key("alice@example.com");
    let server = here.serve().await;
    server.introspect(&api, &key).await.active();
    // Half of a request's body has been sent when the server is stopped.
    let body = format!("token={key}");
    let mut slow = TcpStream::connect(("127.0.0.1", here.port)).await.expect("a connection");
    let head = format!(
        "POST /oauth/introspect HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\nconnection: close\r\nexpect: 100-continue\r\n\r\n",
        api.basic(),
        body.len()
    );
    slow.write_all(head.as_bytes()).await.expect("sent");
    // The server has asked for the body; then it accepts no new connections, so it has seen the signal.
    let mut going_on = [0; CONTINUE.len()];
    slow.read_exact(&mut going_on).await.expect("an interim answer");
    assert_eq!(&going_on[..], CONTINUE);
    server.signal("TERM");
    let refused = async || TcpStream::connect(("127.0.0.1", here.port)).await.is_err().then_some(());
    wait::until("the end of new connections", refused).await;
    slow.write_all(body.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"active\":true"), "{answer}");
    assert!(server.stop().success());
    let list = here.json(&["key", "list", "--user", "alice@example.com"]);
    assert!(list["items"][0]["last_used_at"].is_string(), "{list}");
}

#[tokio::test]
async fn secrets_stay_out_of_core_dumps_and_logs() {
    // THREATS: SR4
    let mut here = Installation::new();
    here.set("GRANTD_LOG", "debug");
    here.set("GRANTD_METRICS_TOKEN", "a-token-for-metrics");
    let api = here.api();
    here.user("alice@example.com");
    let (_, key) = here.key("alice@example.com");
    let server = here.serve().await;
    server.introspect(&api, &key).await.active();
    server.get_as("/v1/users/me", &key).await.status(200);
    server.get_as("/v1/users/me", &key[..key.len() - 1]).await.status(401);
    server.try_revoke_key(&key).await.expect("a reply").status(200);
    server.get("/metrics").await.status(401);
    server.get_as("/metrics", "a-token-for-metricz").await.status(401);
    let metrics = server.get_as("/metrics", "a-token-for-metrics").await;
    metrics.status(200);
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    let said = server.log() + metrics.body.as_str();
    for secret in
        [key.as_str(), api.secret.as_deref().expect("a secret"), here.variable("GRANTD_MASTER_KEY"), "a-token-for"]
    {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn unreachable_database_prevents_the_start_with_a_reason() {
    let mut here = Installation::new();
    here.set("GRANTD_DATABASE_URL", format!("postgres://grantd:pa55word@127.0.0.1:{}/x", free_port()));
    // The database's error is shown, and not a timeout of the connection pool.
    let error = here.refused(&["serve"]);
    assert!(error.contains("Connection refused") && !error.contains("pa55word"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_writes_counts_before_waiting_for_mail() {
    let mut here = Installation::new();
    // Accepts connections and never answers.
    let dead = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    here.set("GRANTD_MAIL__URL", format!("smtp://{}", dead.local_addr().expect("an address")));
    here.set("GRANTD_MAIL__FROM", "keys@example.com".to_owned());
    here.api();
    here.user("alice@example.com");
    let ((id, key), (_, leaked)) = (here.key("alice@example.com"), here.key("alice@example.com"));
    let mut server = here.serve().await;
    server.get_as("/v1/users/me", &key).await.status(200);
    let report = server.http.post(format!("{}/leaked", server.base)).form(&[("key", leaked)]);
    server.send(report).await.expect("an answer").status(200);
    let _held = dead.accept().await.expect("the mailer");
    server.signal("TERM");
    assert!(server.ended().success());
    assert!(!here.store().await.key_usage(&id, Timestamp(0)).await.expect("usage").is_empty());
    // The log shows what came first, however long each step took.
    let log = server.log();
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("no {words}: {log}"));
    assert!(at("counts are written") < log.rfind("mail").expect("a word about the mail"), "{log}");
}
