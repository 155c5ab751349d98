//! Owns tests that need the real process: SR4, and the limits of the socket of HX3.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use crate::harness::{Installation, database::Database, wait::PATIENCE};

/// Sends bytes to a server and reads the first line of its response.
fn ask(base: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // It may respond and close before everything is sent.
    drop(stream.write_all(bytes));
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn program_output_contains_no_secrets() {
    // THREATS: SR4
    let mut here = Installation::on(Database::new().await);
    here.set("GRANTD_METRICS_TOKEN", "m3trics-t0ken");
    let api = here.api();
    let secrets = [here.variable("GRANTD_MASTER_KEY").to_owned(), "m3trics-t0ken".to_owned(), api.secret.expect("one")];
    for arguments in [
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["key", "create", "--help"],
        vec!["config"],
        vec!["doctor"],
        vec!["doctor", "--json"],
        vec!["signing-key", "list"],
        vec!["api", "list"],
        vec!["client", "list"],
        vec!["audit"],
        vec!["--version"],
        vec!["nonsense"],
        vec!["serve", "--listen", "nonsense"],
    ] {
        let ran = here.run(&arguments);
        assert!(!ran.out.is_empty() || !ran.err.is_empty(), "{arguments:?}");
        for secret in &secrets {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{arguments:?}: {ran:?}");
        }
    }
    // Also if the secret itself is wrong.
    here.set("GRANTD_MASTER_KEY", "s3cret-but-n0t-a-key");
    let said = |here: &Installation| {
        let ran = here.run(&["doctor"]);
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        ran.out + ran.err.as_str()
    };
    assert!(!said(&here).contains("s3cret-but-n0t-a-key"));
    here.set("GRANTD_MASTER_KEY", &secrets[0]);
    here.set("GRANTD_DATABASE_URL", "postgres://u:s3cret-password@127.0.0.1:1/x");
    assert!(!said(&here).contains("s3cret-password"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_do_not_invent_a_master_key() {
    // THREATS: JW11
    let mut here = Installation::new();
    here.set("GRANTD_DATABASE_URL", "postgres://u@127.0.0.1:1/x");
    for key in ["", "Y2hhbmdlLW1lLWNoYW5nZS1tZS1jaGFuZ2UtbWUtMTI="] {
        here.set("GRANTD_MASTER_KEY", key);
        let ran = here.run(&["doctor"]);
        assert!(!ran.status.success() && ran.out.contains("\nfail  master key "), "{ran:?}");
        let why = here.refused(&["serve", "--listen", "127.0.0.1:0"]);
        assert!(why.contains("master key") || why.contains("master_key"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_leaves_no_core_dump_and_bounds_the_head() {
    // THREATS: SR4 HX3
    let mut here = Installation::on(Database::new().await);
    here.before_serving = "ulimit -c unlimited 2>/dev/null;";
    let server = here.serve().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");

    assert_eq!(ask(&server.base, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 200 OK");
    let head = |line: &str, count: usize| format!("GET /livez HTTP/1.1\r\nHost: x\r\n{}\r\n", line.repeat(count));
    let too_large = "HTTP/1.1 431 Request Header Fields Too Large";
    assert_eq!(ask(&server.base, head("A: b\r\n", 120).as_bytes()), too_large);
    assert_eq!(ask(&server.base, head(&format!("A: {}\r\n", "b".repeat(8000)), 12).as_bytes()), too_large);
    let uri = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(30_000));
    assert!(ask(&server.base, uri.as_bytes()).starts_with("HTTP/1.1 414"));
    let body = "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 1000000000\r\n\r\n";
    assert!(ask(&server.base, body.as_bytes()).starts_with("HTTP/1.1 413"));
    // Two body lengths, and a bare line feed, are how requests are smuggled.
    for smuggled in [
        "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
        "GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: x\r\nA: b\rc: d\r\n\r\n",
    ] {
        assert_eq!(ask(&server.base, smuggled.as_bytes()), "HTTP/1.1 400 Bad Request", "{smuggled:?}");
    }
    assert_eq!(ask(&server.base, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 200 OK");
}
