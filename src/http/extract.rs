//! Owns what every handler knows of its request: time, origin, parameters. Does not know any parameter's meaning.

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{Extensions, HeaderMap, header, request::Parts},
};
use ipnet::IpNet;

use super::error::OAuthError;
use crate::model::{
    audit::{Origin, network},
    clock::Timestamp,
    error::{Error, ErrorCode},
    params::Params,
};

/// What the edge found out about a request before its handler ran.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// When it arrived; the one reading of the clock.
    pub now: Timestamp,
    /// Its identifier, as answered in `X-Request-ID`.
    pub id: String,
    /// Who sent it, after trusted proxies; where they do not say, the nearest of them that is known.
    pub address: IpAddr,
    /// That is indeed who sent it. Else it is good for counting and for the log, and no key that is bound to networks may be
    /// used: a proxy's own network would let everybody in.
    pub is_sender: bool,
}

impl RequestInfo {
    /// Who counts as one sender: an address, or the /64 that one IPv6 subscriber has whole.
    #[must_use]
    pub fn network(&self) -> String {
        network(self.address)
    }

    /// Where the request came from, for the audit log.
    #[must_use]
    pub fn origin(&self, actor: &str) -> Origin {
        Origin { actor: actor.to_owned(), address: self.address.to_string(), request_id: self.id.clone() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestInfo {
    type Rejection = OAuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, OAuthError> {
        // Put there by `layers::edge`, around every route.
        parts.extensions.remove::<Self>().ok_or_else(|| OAuthError(Error::server("the edge did not run")))
    }
}

/// Whether the peer is a proxy whose forwarded headers are believed.
#[must_use]
pub fn from_trusted_proxy(extensions: &Extensions, trusted: &[IpNet]) -> bool {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
    peer.is_some_and(|peer| trusted.iter().any(|network| network.contains(&peer)))
}

/// The address of the sender: the peer, or behind trusted proxies the right-most address that is not one of them. What
/// cannot be read ends the search; a peer that is not trusted has no say. False where the proxies do not say: then it is the
/// last of them that is known.
#[must_use]
pub fn sender(request: &Request, trusted: &[IpNet]) -> (IpAddr, bool) {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip().to_canonical());
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return (peer, true);
    }
    // From the right: what stands left of the first address that is no proxy of ours was written by a stranger.
    let (mut sender, mut is_told) = (peer, false);
    for value in request.headers().get_all("x-forwarded-for").iter().rev() {
        for hop in value.to_str().unwrap_or_default().rsplit(',') {
            let Some(hop) = address(hop.trim()) else { return (sender, false) };
            (sender, is_told) = (hop.to_canonical(), true);
            if !is_trusted(&sender) {
                return (sender, true);
            }
        }
    }
    (sender, is_told)
}

/// An address as proxies write it: alone, or with the port it came from.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    text.parse().ok().or_else(with_port)
}

/// Which bodies an endpoint reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// That, or a flat JSON object.
    FormOrJson,
}

/// A body that was read whole, with its kind decided.
pub struct ParamsBody {
    bytes: Bytes,
    is_json: bool,
}

impl std::fmt::Debug for ParamsBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ParamsBody(REDACTED)")
    }
}

impl ParamsBody {
    /// Reads the body of a request that has nothing in its query: secrets do not belong into URLs (RFC 6749 §2.3.1).
    ///
    /// # Errors
    /// `invalid_request`, `unsupported_media_type` or `content_too_large`.
    pub async fn read(request: Request, kind: BodyKind, limit: usize) -> Result<(HeaderMap, Self), Error> {
        let (parts, body) = request.into_parts();
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(Error::invalid_request("parameters belong into the body, not into the URL"));
        }
        let media =
            parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let is_json = kind == BodyKind::FormOrJson && media.eq_ignore_ascii_case("application/json");
        // What is not there has no type: a key is revoked by its header alone.
        let is_absent = media.is_empty() && body.size_hint().exact() == Some(0);
        if !is_json && !is_absent && !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Error::new(ErrorCode::UnsupportedMediaType, "send application/x-www-form-urlencoded"));
        }
        let bytes = read_body(&parts.headers, body, limit).await?;
        Ok((parts.headers, Self { bytes, is_json }))
    }

    /// The parameters, decoded strictly.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn params(&self) -> Result<Params<'_>, Error> {
        if self.is_json { Params::json(&self.bytes) } else { Params::form(&self.bytes) }
    }
}

pub(super) async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Error> {
    let too_large = || Error::new(ErrorCode::ContentTooLarge, "the body is too large");
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    to_bytes(body, limit).await.map_err(|error| too_large().because(error))
}

/// The `Bearer` credential of a request, if there is exactly one and it is well formed (RFC 6750 §2.1).
///
/// # Errors
/// `invalid_request` when the header is repeated or malformed.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let malformed = || Error::invalid_request("the Authorization header is malformed");
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, credential) = value.to_str().map_err(|_| malformed())?.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    let token68 = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if credential.is_empty() || !credential.bytes().all(token68) {
        return Err(malformed());
    }
    Ok(Some(credential))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subscriber_is_one_sender() {
        let of = |text: &str| {
            let address = text.parse().expect("address");
            RequestInfo { now: Timestamp(0), id: String::new(), address, is_sender: true }.network()
        };
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
