//! Owns a reply and its assertions. Every failure shows the body.

use axum::{
    body::to_bytes,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde_json::Value;

/// A whole reply.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 10 << 20).await.expect("a body");
        Self { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Asserts the status.
    #[track_caller]
    pub fn status(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{:?} {}", self.headers, self.body);
        self
    }

    /// Asserts that two replies are identical: status, body and every header but the request id.
    #[track_caller]
    pub fn same_as(&self, other: &Self) -> &Self {
        let told = |reply: &Self| {
            let mut headers = reply.headers.clone();
            headers.remove("x-request-id");
            (reply.status, headers, reply.body.clone())
        };
        assert_eq!(told(self), told(other));
        self
    }

    /// A header as text; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"))
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    /// A text member of the JSON body.
    #[track_caller]
    pub fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_else(|| panic!("no {member}: {}", self.body)).to_owned()
    }

    /// Asserts an RFC 6749 §5.2 error: 400 (401 for invalid_client), JSON, no-store.
    #[track_caller]
    pub fn oauth_error(&self, error: &str) -> &Self {
        self.status(if error == "invalid_client" { 401 } else { 400 });
        assert_eq!(self.json()["error"], error, "{}", self.body);
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.headers.contains_key(header::WWW_AUTHENTICATE), error == "invalid_client");
        self
    }

    /// Asserts one of grantd's pages: this status, HTML, no redirect.
    #[track_caller]
    pub fn page(&self, status: u16) -> &Self {
        self.status(status);
        assert!(self.header("content-type").starts_with("text/html"), "{:?}", self.headers);
        assert!(!self.headers.contains_key(header::LOCATION), "{:?}", self.headers);
        self
    }

    /// Asserts exactly `{"active":false}`.
    #[track_caller]
    pub fn inactive(&self) -> &Self {
        self.status(200);
        assert_eq!(self.body, r#"{"active":false}"#);
        self
    }

    /// Asserts an active introspection answer and returns it.
    #[track_caller]
    pub fn active(&self) -> Value {
        self.status(200);
        let answer = self.json();
        assert_eq!(answer["active"], true, "{}", self.body);
        answer
    }

    /// Asserts a 303 and returns its target.
    #[track_caller]
    pub fn location(&self) -> String {
        self.status(303);
        self.header("location").to_owned()
    }

    /// A parameter of the URL of a 303.
    #[track_caller]
    pub fn redirect_param(&self, name: &str) -> Option<String> {
        let location = self.location();
        let query = location.split_once('?').map_or("", |(_, query)| query).to_owned();
        form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    }

    /// Asserts an error sent to the client by redirect, with `state` and `iss`.
    #[track_caller]
    pub fn redirect_error(&self, to: &str, error: &str) -> &Self {
        assert!(self.location().starts_with(to), "{}", self.location());
        assert_eq!(self.redirect_param("error").as_deref(), Some(error), "{}", self.location());
        assert_eq!(self.redirect_param("iss").as_deref(), Some(super::ISSUER));
        assert_eq!(self.redirect_param("code"), None);
        self
    }

    /// The value of an input of a page, hidden or visible.
    #[track_caller]
    pub fn input(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let at = self.body.find(&marker).unwrap_or_else(|| panic!("no input {name}: {}", self.body)) + marker.len();
        let end = self.body[at..].find('"').expect("a closing quote");
        self.body[at..at + end].to_owned()
    }
}
