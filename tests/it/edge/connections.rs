//! Owns tests of what a slow, silent or greedy peer can hold of a server process: connections and descriptors. HX3, HX4.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

use crate::harness::{
    Installation,
    database::Database,
    process::Server,
    wait::{self, PATIENCE},
};

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

async fn here() -> Installation {
    Installation::on(Database::new().await)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.base.trim_start_matches("http://")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Sends bytes and reads the first line of the response; empty if the connection was closed.
fn ask(stream: &mut TcpStream, bytes: &[u8]) -> String {
    // It may be closed before everything is sent.
    drop(stream.write_all(bytes));
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned()
}

/// Waits until a condition holds.
fn until(what: &str, is_so: impl Fn() -> bool) {
    wait::until_now(what, || is_so().then_some(()));
}

fn sockets(server: &Server) -> usize {
    let all = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("descriptors");
    let targets = all.filter_map(|entry| fs::read_link(entry.expect("an entry").path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_first_head_closes_the_connection() {
    // THREATS: HX3
    let mut here = here().await;
    here.set("GRANTD_CONNECTIONS__FIRST_HEAD_SECONDS", "1");
    here.set("GRANTD_CONNECTIONS__IDLE_SECONDS", "3600");
    let server = here.serve().await;
    // If this test is delayed for a second, its own connection is closed too.
    let mut used = wait::until_now("an answer", || {
        let mut used = connect(&server);
        (ask(&mut used, LIVEZ) == "HTTP/1.1 200 OK").then_some(used)
    });
    for begun in [&b""[..], b"G", b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\nA"] {
        let mut slow = connect(&server);
        slow.write_all(begun).expect("sent");
        let closed = slow.read(&mut [0; 1]);
        assert!(matches!(closed, Ok(0)), "{:?}: {closed:?}", String::from_utf8_lossy(begun));
    }
    // A connection that has sent a request may take its time.
    assert_eq!(ask(&mut used, LIVEZ), "HTTP/1.1 200 OK");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_and_slow_later_heads_are_closed() {
    // THREATS: HX3
    let mut here = here().await;
    here.set("GRANTD_CONNECTIONS__FIRST_HEAD_SECONDS", "3600");
    here.set("GRANTD_CONNECTIONS__IDLE_SECONDS", "1");
    let server = here.serve().await;
    for begun in [&b""[..], b"GET /livez HTTP/1.1\r\nHost"] {
        let mut idle = connect(&server);
        assert_eq!(ask(&mut idle, LIVEZ), "HTTP/1.1 200 OK");
        // It may be closed already.
        drop(idle.write_all(begun));
        let mut rest = Vec::new();
        let closed = idle.read_to_end(&mut rest);
        // The test's own read did not time out here.
        assert!(closed.as_ref().is_ok_and(|_| !rest.starts_with(b"HTTP/1.1 200")), "{closed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_response_is_aborted() {
    // THREATS: HX3
    let mut here = here().await;
    here.set("GRANTD_CONNECTIONS__WRITE_SECONDS", "1");
    here.set("GRANTD_CONNECTIONS__IDLE_SECONDS", "3600");
    let server = here.serve().await;
    let before = sockets(&server);
    let mut greedy = connect(&server);
    // Far more than the socket buffers on both sides hold.
    greedy.write_all(&b"GET /api/docs HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000)).expect("sent");
    until("the server takes it", || sockets(&server) > before);
    until("the server gives it up", || sockets(&server) <= before);
    // A slow reader that does read gets everything.
    let mut slow = connect(&server);
    slow.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).expect("an answer");
    assert!(answer.ends_with(b"}"));
}

/// A connection from this local address with one request sent on it; and whether it was answered.
async fn from(address: [u8; 4], server: &Server) -> (tokio::net::TcpStream, bool) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((address, 0))).expect("an address");
    let to = server.base.trim_start_matches("http://").parse().expect("an address");
    let mut stream = socket.connect(to).await.expect("a connection");
    let sent = stream.write_all(LIVEZ).await;
    let mut answer = [0; 15];
    let read = wait::in_time("an answer or an end", stream.read_exact(&mut answer)).await;
    (stream, sent.is_ok() && read.is_ok() && &answer == b"HTTP/1.1 200 OK")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_per_network_are_bounded_except_for_trusted_proxies() {
    // THREATS: HX3
    let mut here = here().await;
    here.set("GRANTD_CONNECTIONS__PER_NETWORK", "3");
    here.set("GRANTD_TRUSTED_PROXIES", "127.0.0.2/32");
    let server = here.serve().await;
    let (stranger, proxy) = ([127, 0, 0, 3], [127, 0, 0, 2]);
    let mut held = Vec::new();
    for _ in 0..3 {
        let (stream, is_answered) = from(stranger, &server).await;
        assert!(is_answered);
        held.push(stream);
    }
    for _ in 0..3 {
        assert!(!from(stranger, &server).await.1);
    }
    for _ in 0..10 {
        let (stream, is_answered) = from(proxy, &server).await;
        assert!(is_answered);
        held.push(stream);
    }
    assert!(from([127, 0, 0, 4], &server).await.1, "others have their own");
    let log = server.log();
    let told = log.lines().filter(|line| line.contains("too many connections from one network"));
    assert_eq!(told.count(), 1, "{log}");
    drop(held);
    wait::until("a place", async || from(stranger, &server).await.1.then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn file_descriptors_are_raised_and_never_run_out() {
    // THREATS: HX3
    let mut here = here().await;
    here.before_serving = "ulimit -Sn 150; ulimit -Hn 260;";
    here.set("GRANTD_CONNECTIONS__FIRST_HEAD_SECONDS", "1");
    here.set("GRANTD_CONNECTIONS__PER_NETWORK", "100000");
    let api = here.api();
    let server = here.serve().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["260", "260"], "{files}");
    let mut slow: Vec<TcpStream> = (0..300).map(|_| connect(&server)).collect();
    for stream in &mut slow {
        // The server may have closed it already.
        drop(stream.write_all(b"GET /livez HTTP/1.1\r\nHost"));
    }
    // One more waits until those before it are closed, and is answered; so is a request that needs the database.
    assert_eq!(ask(&mut connect(&server), LIVEZ), "HTTP/1.1 200 OK");
    server.introspect(&api, "nonsense").await.inactive();
    assert!(
        !server.log().contains("could not accept a connection") && !server.log().contains("open files"),
        "{}",
        server.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_has_a_deadline() {
    // THREATS: HX3
    let mut here = here().await;
    here.set("GRANTD_CONNECTIONS__FIRST_HEAD_SECONDS", "3600");
    here.set("GRANTD_CONNECTIONS__IDLE_SECONDS", "3600");
    here.set("GRANTD_CONNECTIONS__WRITE_SECONDS", "3600");
    here.set("GRANTD_CONNECTIONS__STOP_SECONDS", "2");
    here.set("GRANTD_LIMITS__REQUEST_SECONDS", "300");
    let server = here.serve().await;
    let _silent = connect(&server);
    let mut begun = connect(&server);
    begun.write_all(b"GET /livez HTTP/1.1\r\nHost").expect("sent");
    let mut idle = connect(&server);
    assert_eq!(ask(&mut idle, LIVEZ), "HTTP/1.1 200 OK");
    let mut body = connect(&server);
    let head = "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    body.write_all(format!("{head}Content-Length: 10\r\n\r\na").as_bytes()).expect("sent");
    let mut greedy = connect(&server);
    greedy.write_all(&b"GET /api/docs HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000)).expect("sent");
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_strict_http_1_is_accepted() {
    // THREATS: HX4
    let server = here().await.serve().await;
    let one = |bytes: &[u8]| ask(&mut connect(&server), bytes);
    // HTTP/2 with prior knowledge: the preface and an empty SETTINGS frame. No frame comes back.
    let preface = one(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(
        ["", "HTTP/1.1 400 Bad Request", "HTTP/1.1 505 HTTP Version Not Supported"].contains(&preface.as_str()),
        "{preface}"
    );
    let upgrade = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    assert_eq!(one(upgrade.as_bytes()), "HTTP/1.1 200 OK");
    // A bare line feed ends a line (RFC 9112 §2.2), so a header after one is recognized.
    for hidden in ["Content-Length: 6", "Transfer-Encoding: nonsense", "B : c"] {
        let head = format!("POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nA: b\n{hidden}\r\n\r\nhello");
        assert_eq!(one(head.as_bytes()), "HTTP/1.1 400 Bad Request", "{hidden}");
    }
    let folded = b"GET /livez HTTP/1.1\r\nHost: x\r\nA: b\r\n c: d\r\n\r\n";
    assert_eq!(one(folded), "HTTP/1.1 400 Bad Request");
    assert_eq!(one(LIVEZ), "HTTP/1.1 200 OK");
}
