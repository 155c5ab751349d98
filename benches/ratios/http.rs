//! Owns a minimal HTTP/1.1 client with keep-alive, and a cookie jar. It has no TLS and no chunked
//! bodies: neither server uses them on loopback.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Fallible;

/// One keep-alive connection with at most one open request.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Sends one whole request and waits for its whole reply.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Fallible<Reply<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head_end, body_length) = loop {
            self.fill().await?;
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = std::str::from_utf8(&self.buffer[..end])?;
                if header(head, "transfer-encoding").is_some() {
                    return Err("a chunked reply: this client does not read those".into());
                }
                break (end, header(head, "content-length").map_or(Ok(0), str::parse)?);
            }
        };
        let end = head_end + 4 + body_length;
        while self.buffer.len() < end {
            self.fill().await?;
        }
        if self.buffer.len() > end {
            return Err("more bytes than the reply announced".into());
        }
        let head = std::str::from_utf8(&self.buffer[..head_end])?;
        let status = head.get(9..12).ok_or("no status line")?.parse()?;
        Ok(Reply { status, head, body: &self.buffer[head_end + 4..] })
    }

    async fn fill(&mut self) -> Fallible<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// A reply, borrowed from its connection.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    head: &'a str,
    pub(crate) body: &'a [u8],
}

impl<'a> Reply<'a> {
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.head, name)
    }

    /// Whether the head or body contains these bytes.
    pub(crate) fn says(&self, bytes: &[u8]) -> bool {
        [self.body, self.head.as_bytes()].iter().any(|part| part.windows(bytes.len()).any(|window| window == bytes))
    }

    /// An error that shows the actual reply.
    pub(crate) fn unexpected(&self, expected: &str) -> Box<dyn std::error::Error> {
        let body: String = String::from_utf8_lossy(self.body).chars().take(500).collect();
        format!("expected {expected}, got:\n{}\n\n{body}", self.head).into()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| value(line, name))
}

fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.split_once(':')?;
    key.eq_ignore_ascii_case(name).then(|| value.trim())
}

/// `GET` as bytes; `headers` are whole lines.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\n{headers}\r\n").into_bytes()
}

/// `POST` of a form as bytes; `headers` are whole lines.
pub(crate) fn post(address: SocketAddr, path: &str, headers: &str, form: &str) -> Vec<u8> {
    let length = form.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n{headers}\r\n{form}"
    )
    .into_bytes()
}

/// The cookies of one browser on one site, kept as the header line they make.
#[derive(Clone, Default)]
pub(crate) struct Jar {
    cookies: BTreeMap<String, String>,
    line: String,
}

impl Jar {
    pub(crate) fn with(name: &str, value: &str) -> Self {
        let mut jar = Self { cookies: [(name.to_owned(), value.to_owned())].into(), line: String::new() };
        jar.render();
        jar
    }

    /// The `Cookie` line, empty where there is none.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    pub(crate) fn take(&mut self, reply: &Reply<'_>) {
        let mut changed = false;
        for set in reply.head.split("\r\n").filter_map(|line| value(line, "set-cookie")) {
            let Some((name, value)) = set.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            let is_removal = value.is_empty() || set.to_ascii_lowercase().contains("max-age=0");
            if is_removal {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            changed = true;
        }
        if changed {
            self.render();
        }
    }

    fn render(&mut self) {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.line = if pairs.is_empty() { String::new() } else { format!("Cookie: {}\r\n", pairs.join("; ")) };
    }
}
