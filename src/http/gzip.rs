//! Owns texts that are the same for every caller, compressed once. Nothing else is ever compressed: the compressed
//! length of a secret next to text that an attacker chose would reveal the secret (BREACH).

use std::io::Write;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use flate2::{Compression, write::GzEncoder};

/// A text and its gzip (RFC 1952).
#[derive(Clone, Debug)]
pub struct Compressed {
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Compressed {
    /// Compresses a text at the best level.
    #[must_use]
    pub fn new(text: impl Into<Bytes>) -> Self {
        let plain = text.into();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = encoder.write_all(&plain).and_then(|()| encoder.finish()).ok();
        Self { gzip: gzip.filter(|gzip| gzip.len() < plain.len()).map(Bytes::from), plain }
    }

    /// `response` with this text as its body, in an encoding that the sender of `headers` accepts.
    #[must_use]
    pub fn fill(&self, headers: &HeaderMap, mut response: Response) -> Response {
        let out = response.headers_mut();
        out.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        let gzip = self.gzip.as_ref().filter(|_| takes_gzip(headers));
        if gzip.is_some() {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        *response.body_mut() = Body::from(gzip.unwrap_or(&self.plain).clone());
        response
    }
}

/// Whether gzip is among the accepted encodings (RFC 9110 §12.5.3), with a weight above zero.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_none_or(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_if_accepted() {
        for (accepted, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip, deflate, br, zstd", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("x-gzip-not", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            assert_eq!(takes_gzip(&headers), takes, "{accepted}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn texts_that_compression_lengthens_are_sent_as_is() {
        assert!(Compressed::new("a").gzip.is_none());
        assert!(Compressed::new("a".repeat(1000)).gzip.is_some_and(|gzip| gzip.len() < 100));
    }
}
