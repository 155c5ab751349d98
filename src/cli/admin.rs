//! Owns how commands reach the management API: in this process, next to the database, or on another server with a
//! key. Both send the same requests, so a command is written once.

use std::{env, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tower::ServiceExt;
use url::{Host, Url};

use super::{Global, context};
use crate::{
    api::auth::Operator,
    engine::http_client,
    http::reply::LoggedError,
    model::{
        error::{Error, ErrorCode},
        management_api,
        policy::PAGE_MAX,
        secret::random_base62,
    },
    router::router,
};

/// The variable with the key for `--server`. As an argument, every user of the machine could read it.
const KEY: &str = "GRANTD_API_KEY";
/// Longest wait for a remote server.
const WAIT: Duration = Duration::from_secs(30);
/// Attempts where the server is busy or unreachable; all have one Idempotency-Key, so the work is done once.
const ATTEMPTS: u32 = 3;
/// Longest pause between two attempts, in seconds.
const PAUSE_MAX: u64 = 10;
/// Largest response read, in bytes.
const ANSWER_MAX: usize = 16 << 20;
/// Most entries of a list that are shown.
const LIST_MAX: usize = 1000;
/// Commands that list what exists, by the kind that an error calls missing.
const LISTS: [(&str, &str); 8] = [
    ("user", "user list"),
    ("project", "project list --user EMAIL"),
    ("key", "key list --user EMAIL"),
    ("client", "client list"),
    ("plan", "plan list"),
    ("API", "api list"),
    ("profile", "profile list"),
    ("rule", "api routes"),
];

/// A connection to the management API.
#[derive(Debug)]
pub struct Admin {
    way: Way,
}

#[derive(Debug)]
enum Way {
    Here { router: Router, base: String },
    There { http: reqwest::Client, base: String, key: SecretString },
}

/// Entries of a list.
#[derive(Debug)]
pub struct Listed {
    /// The entries, as in the API's response.
    pub items: Vec<Value>,
    /// The cursor after them, if there are more.
    pub next: Option<String>,
}

/// A response, before its status is checked.
struct AdminResponse {
    status: StatusCode,
    retry_after: Option<u64>,
    body: Vec<u8>,
    cause: Option<String>,
}

impl Admin {
    /// Opens the database, or connects to the server that `--server` names.
    pub async fn open(global: &Global) -> Result<Self, Error> {
        let way = match &global.server {
            Some(server) => there(server)?,
            None => {
                let app = Arc::new(context::command(global).await?);
                Way::Here { base: app.config.issuer.base_path().to_owned(), router: router(app) }
            }
        };
        Ok(Self { way })
    }

    /// Reads `path` below `/api/v1`.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.send(Method::GET, path, &Value::Null).await
    }

    /// Creates or does something.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value, Error> {
        self.send(Method::POST, path, &body).await
    }

    /// Sends a request.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, Error> {
        let answer = match &self.way {
            Way::Here { router, base } => {
                here(router, &format!("{base}{}{path}", management_api::PATH), method, body).await?
            }
            Way::There { http, base, key } => {
                let request = http.request(method, format!("{base}{}{path}", management_api::PATH));
                let request = request.bearer_auth(key.expose_secret()).header("idempotency-key", random_base62(32));
                remote(if body.is_null() { request } else { request.json(body) }).await?
            }
        };
        answer.read()
    }

    /// A list, as far as it is shown; `filters` without a value are left out.
    pub async fn list(&self, path: &str, filters: &[(&str, Option<&str>)]) -> Result<Listed, Error> {
        self.first(LIST_MAX, path, filters).await
    }

    /// The first `most` entries of a list, and the cursor after them.
    pub async fn first(&self, most: usize, path: &str, filters: &[(&str, Option<&str>)]) -> Result<Listed, Error> {
        let (mut items, mut next) = (Vec::new(), None);
        loop {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &PAGE_MAX.min(most - items.len()).to_string());
            query.extend_pairs(filters.iter().filter_map(|(name, value)| Some((name, (*value)?))));
            query.extend_pairs(next.as_ref().map(|cursor: &String| ("cursor", cursor)));
            let mut page = self.get(&format!("{path}?{}", query.finish())).await?;
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            next = page["next"].as_str().map(ToOwned::to_owned);
            if next.is_none() || items.len() >= most {
                return Ok(Listed { items, next });
            }
        }
    }
}

impl AdminResponse {
    fn read(self) -> Result<Value, Error> {
        let value = match self.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&self.body).unwrap_or_default(),
        };
        if self.status.is_success() {
            return Ok(value);
        }
        let said = value["detail"].as_str().unwrap_or("the server gave no details");
        let words = match self.status {
            StatusCode::UNAUTHORIZED => format!("{said}: check that {KEY} is an active key of this server"),
            _ => said.to_owned(),
        };
        let code = if self.status.is_server_error() { ErrorCode::ServerError } else { ErrorCode::InvalidRequest };
        let missing = LISTS.iter().map(|(what, _)| *what).find(|what| value["missing"] == *what);
        let error = Error { missing, ..Error::new(code, words) };
        Err(match self.cause {
            Some(cause) => error.because(cause),
            None => error,
        })
    }
}

/// Adds to an error about something that does not exist which command lists what does.
pub(super) fn with_hint(error: Error) -> Error {
    let list = LISTS.iter().find(|(what, _)| error.missing == Some(what));
    match list {
        Some((_, list)) => {
            Error { description: format!("{}; `grantd {list}` lists them", error.description).into(), ..error }
        }
        None => error,
    }
}

/// Sends the request within this process, as the operator: a person who can open the database may do anything.
async fn here(router: &Router, path: &str, method: Method, body: &Value) -> Result<AdminResponse, Error> {
    let request = Request::builder().method(method).uri(path).extension(Operator);
    let request = match body {
        Value::Null => request.body(Body::empty()),
        body => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
    };
    let Ok(response) = router.clone().oneshot(request.map_err(Error::server)?).await;
    let logged = response.extensions().get::<LoggedError>();
    let cause = logged.and_then(|logged| logged.0.cause.as_ref()).map(ToString::to_string);
    let status = response.status();
    let body = to_bytes(response.into_body(), ANSWER_MAX).await.map_err(Error::server)?.to_vec();
    Ok(AdminResponse { status, retry_after: None, body, cause })
}

/// Sends the request, with a few retries.
async fn remote(request: reqwest::RequestBuilder) -> Result<AdminResponse, Error> {
    let mut attempt = 1;
    loop {
        let again = request.try_clone().ok_or_else(|| Error::server("a request cannot be repeated"))?;
        let answered = ask(again).await;
        let pause = match &answered {
            Ok(answer) if matches!(answer.status.as_u16(), 429 | 503) => answer.retry_after.unwrap_or(1),
            Ok(_) => return answered,
            Err(_) => 1,
        };
        if attempt == ATTEMPTS || pause > PAUSE_MAX {
            return answered;
        }
        attempt += 1;
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
}

async fn ask(request: reqwest::RequestBuilder) -> Result<AdminResponse, Error> {
    // The error would show the URL, and nothing else of the request.
    let lost = |error: reqwest::Error| Error::unavailable(error);
    let mut response = request.send().await.map_err(lost)?;
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let (status, mut body) = (response.status(), Vec::new());
    if status.is_redirection() {
        return Err(Error::invalid_request("the server redirected the request; use its final address"));
    }
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(Error::invalid_request("the server's response is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(AdminResponse { status, retry_after, body, cause: None })
}

fn there(server: &str) -> Result<Way, Error> {
    let base = server_url(server)?;
    let key = env::var(KEY).unwrap_or_default();
    if key.trim().is_empty() {
        let words = format!("set {KEY} to an API key of this server with the grantd: scopes that the command needs");
        return Err(Error::invalid_request(words));
    }
    let http = http_client::build(&base).timeout(WAIT).build().map_err(Error::server)?;
    Ok(Way::There { http, base, key: SecretString::from(key.trim().to_owned()) })
}

/// A server's issuer to which a key may be sent.
fn server_url(text: &str) -> Result<String, Error> {
    let wrong = |words: &'static str| Error::invalid_request(words);
    let url = Url::parse(text).map_err(|_| wrong("--server must be a URL such as https://auth.example.com"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("--server must be a plain URL; set the key in GRANTD_API_KEY"));
    }
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        _ => return Err(wrong("--server must be https, or http on loopback: a key is never sent unencrypted")),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Sorts entries by one of their members.
pub fn sort_by(entries: &mut [Value], member: &str) {
    entries.sort_by_key(|entry| entry[member].as_str().unwrap_or_default().to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_keys_are_not_sent_unencrypted() {
        for url in [
            "https://auth.example.com",
            "https://a.example/tenant/",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert_eq!(server_url(url).expect("a server"), url.trim_end_matches('/'));
        }
        for url in [
            "http://auth.example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "ftp://x",
            "auth.example.com",
            "https://key@a.example",
            "https://a.example/?key=x",
            "file:///etc/passwd",
            "http://localhost.example",
        ] {
            assert!(server_url(url).is_err(), "{url}");
        }
    }
}
