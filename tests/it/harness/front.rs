//! Owns an API behind a real proxy with a real grantd: starting the three, and sending bytes that no client would.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Installation, Reply,
    app::API,
    process::{Server, free_port},
    proxy::{Kind, Proxy},
    upstream::Upstream,
    wait,
};

pub const EMAIL: &str = "alice@example.com";

/// A proxy, grantd, and the API behind both.
pub struct Front {
    pub kind: Kind,
    pub proxy: Proxy,
    pub grantd: Server,
    pub upstream: Upstream,
    pub here: Installation,
    pub user: String,
    pub key_id: String,
    /// The key of a user with read access.
    pub key: String,
}

impl Front {
    /// With rules: reading and writing users, a public part, a part for writers; and a small plan.
    pub async fn new(kind: Kind) -> Self {
        Self::with(kind, "bearer", |here| {
            here.json(&["plan", "set", "small", "--per-hour", "2", "--burst", "50"]);
            for (method, path, rest) in [
                ("GET", "/v1/users", ["--scope", "read"].as_slice()),
                ("POST", "/v1/users", &["--scope", "write"]),
                ("GET", "/v1/users/{id}", &["--scope", "read"]),
                ("*", "/echo/*", &["--scope", "read"]),
                ("*", "/public/*", &["--public"]),
                ("*", "/admin/*", &["--scope", "write"]),
            ] {
                here.json(&[&["api", "add-route", "example", "--method", method, "--path", path], rest].concat());
            }
        })
        .await
    }

    /// With an API of this profile, and with setup before the server starts.
    pub async fn with(kind: Kind, profile: &str, arrange: impl FnOnce(&Installation)) -> Self {
        let mut here = Installation::new();
        here.set("GRANTD_TRUSTED_PROXIES", "127.0.0.1/32");
        // grantd's pages are at the API's address.
        let port = free_port();
        here.set("GRANTD_ISSUER", format!("http://127.0.0.1:{port}"));
        let scopes = ["--scope", "read=May read", "--scope", "write=May write"];
        let create = ["api", "create", "--identifier", API, "--name", "Example", "--profile", profile];
        here.json(&[&create[..], &scopes].concat());
        let user = here.user(EMAIL);
        let (key_id, key) = here.key(EMAIL);
        arrange(&here);
        let grantd = here.serve().await;
        let upstream = Upstream::start();
        let proxy = kind.start(port, here.port, upstream.port);
        Self { kind, proxy, grantd, upstream, here, user, key_id, key }
    }

    /// Sends a request through the proxy with a client library.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let method = method.parse().expect("a method");
        let request = self.grantd.http.request(method, format!("{}{path}", self.proxy.base)).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.grantd.send(request).await.expect("a reply")
    }

    /// Sends a request without a body and with exactly this head, and reads the whole response.
    pub async fn raw(&self, line: &str, headers: &[(&str, &str)]) -> Reply {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let close = if headers.to_lowercase().contains("connection:") { "" } else { "Connection: close\r\n" };
        self.bytes(format!("{line} HTTP/1.1\r\nHost: api.example.com\r\n{close}{headers}\r\n").as_bytes()).await
    }

    /// Sends these bytes; a response without a head has status 100.
    pub async fn bytes(&self, sent: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(("127.0.0.1", self.proxy.port)).await.expect("a connection");
        stream.write_all(sent).await.expect("sent");
        let mut got = Vec::new();
        // A proxy may close the connection on malformed input.
        drop(wait::in_time("an answer", stream.read_to_end(&mut got)).await);
        parse(&String::from_utf8_lossy(&got))
    }

    /// GET with the key of a user who may read.
    pub async fn get(&self, path: &str) -> Reply {
        self.get_as(path, &self.key).await
    }

    pub async fn get_as(&self, path: &str, key: &str) -> Reply {
        self.raw(&format!("GET {path}"), &[("Authorization", &format!("Bearer {key}"))]).await
    }

    /// A change by the command line is seen soon: the first reply that is `status`.
    pub async fn until(&self, status: u16, path: &str, key: &str) -> Reply {
        wait::until(status, async || Some(self.get_as(path, key).await).filter(|reply| reply.status == status)).await
    }
}

fn parse(text: &str) -> Reply {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(100);
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_str(value.trim()).expect("a value"));
    }
    let body = if headers.get("transfer-encoding").is_some() { unchunk(body) } else { body.to_owned() };
    Reply { status: StatusCode::from_u16(status).expect("a status"), headers, body }
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            break;
        }
        body += &more[..size];
        rest = &more[size + 2..];
    }
    body
}
