//! Owns JSON bodies of the management API: strictly one object of known members, and the request's `Idempotency-Key`.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, Uri, header},
};
use serde::de::DeserializeOwned;

use crate::{
    app::App,
    http::{extract::read_body, problem::Problem},
    model::{
        error::{Error, ErrorCode},
        secret::Digest,
    },
};

/// The header of draft-ietf-httpapi-idempotency-key-header, and the older name that the seed "ensemble" uses.
const IDEMPOTENCY_KEYS: [&str; 2] = ["idempotency-key", "x-idempotency-key"];
/// Longest `Idempotency-Key`, in bytes.
pub const IDEMPOTENCY_KEY_MAX: usize = 255;
/// Maximum length of a parser's message that is passed on, in characters.
const WORDS_MAX: usize = 200;

/// The parsed body of a request. A missing one counts as an empty object. At most `MAX` bytes are read, or if that is 0 as
/// many as the configuration allows.
#[derive(Debug)]
pub struct JsonBody<T, const MAX: usize = 0> {
    /// The body.
    pub value: T,
    /// The `Idempotency-Key` with a digest of the request.
    pub idempotency_key: Option<(String, Digest)>,
}

impl<T: DeserializeOwned, const MAX: usize> FromRequest<Arc<App>> for JsonBody<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        no_query(&parts.uri)?;
        let name = read_idempotency_key(&parts.headers)?;
        let media = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_json =
            media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
        let limit = if MAX == 0 { app.config.limits.body_bytes } else { MAX };
        let bytes = read_body(&parts.headers, body, limit).await?;
        if !is_json && !bytes.is_empty() {
            return Err(Error::new(ErrorCode::UnsupportedMediaType, "the content type must be application/json").into());
        }
        let value = parse(if bytes.is_empty() { b"{}" } else { &bytes })?;
        let idempotency_key = name.map(|name| {
            let body = String::from_utf8_lossy(&bytes);
            (name, Digest::of(&format!("{} {}\n{body}", parts.method, parts.uri.path())))
        });
        Ok(Self { value, idempotency_key })
    }
}

/// Refuses a query where none is read: its sender would expect an effect.
pub fn no_query(uri: &Uri) -> Result<(), Error> {
    match uri.query() {
        None | Some("") => Ok(()),
        Some(_) => Err(Error::invalid_request("this endpoint takes no query parameters")),
    }
}

/// Parses one object: each known member at most once, no others, and nothing after it.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // PostgreSQL cannot store a NUL in text.
    if bytes.windows(6).any(|window| window == br"\u0000") {
        return Err(Error::invalid_request("the body contains a NUL character"));
    }
    // serde would read an array as an object's members in order.
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Error::invalid_request("the body must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let words: String = error.to_string().chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
        Error::invalid_request(format!("invalid body: {words}"))
    })
}

fn read_idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut values = IDEMPOTENCY_KEYS.iter().flat_map(|name| headers.get_all(*name));
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(Error::invalid_request("the request has two different idempotency keys"));
    }
    let text = first.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > IDEMPOTENCY_KEY_MAX || !text.bytes().all(|b| (0x21..=0x7E).contains(&b)) {
        return Err(Error::invalid_request("Idempotency-Key must have 1 to 255 printable ASCII characters"));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Body {
        name: String,
        count: Option<i64>,
        list: Option<Vec<String>>,
    }

    #[test]
    fn ambiguous_bodies_are_refused() {
        // THREATS: HX9 HX5
        assert!(parse::<Body>(br#"{"name":"a","count":7,"list":["x"]}"#).is_ok());
        let deep = format!("{{\"name\":\"a\",\"list\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        let deep_object = format!("{{\"name\":{}1{}}}", "{\"a\":".repeat(1000), "}".repeat(1000));
        for bad in [
            "",
            "null",
            "[]",
            r#"["a",null,null]"#,
            "\"a\"",
            "{",
            r#"{"name":"a"} "#.trim_end_matches("} "),
            r#"{"name":"a"}{"name":"b"}"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","Name":"b"}"#,
            r#"{"NAME":"a"}"#,
            r#"{"name":"a","more":1}"#,
            r#"{"name":"a","count":1e400}"#,
            r#"{"name":"a","count":9223372036854775808}"#,
            r#"{"name":"a","count":1.5}"#,
            r#"{"name":"a","count":"1"}"#,
            r#"{"name":"a\u0000"}"#,
            r#"{"name":"\ud800"}"#,
            "\u{FEFF}{\"name\":\"a\"}",
            "{\"name\":\"a\n\"}",
            &deep,
            &deep_object,
        ] {
            assert!(parse::<Body>(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse::<Body>(b"{\"name\":\"\xff\"}").is_err());
    }
}
