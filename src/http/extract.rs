//! Owns the request data that is available to every handler: time, origin, parameters.

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{Extensions, HeaderMap, HeaderValue, header, request::Parts},
};
use ipnet::IpNet;

use super::error::OAuthError;
use crate::model::{
    audit::{Act, Origin},
    clock::Timestamp,
    error::{Error, ErrorCode},
    network::sender_network,
    params::Params,
};

/// Properties of a request, determined at the edge before its handler runs.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// When it arrived: the request's only reading of the clock.
    pub now: Timestamp,
    /// Its identifier, as sent in `X-Request-ID`.
    pub id: String,
    /// The sender behind any trusted proxies; if they do not name it, the known proxy nearest to it.
    pub address: IpAddr,
    /// Whether `address` is really the sender. If not, it is used for counting and for the log only, and keys
    /// restricted to networks are refused: a proxy's own network would let every sender in.
    pub is_sender: bool,
    /// The share of the senders behind an unconfigured proxy in which the request is counted; see [`Sender::share`].
    pub share: Option<u8>,
}

impl RequestInfo {
    /// That of a request, whose handler may still ask for it.
    ///
    /// # Errors
    /// `server_error`.
    pub fn of(extensions: &Extensions) -> Result<&Self, Error> {
        // Inserted by `layers::edge`, around every route.
        extensions.get().ok_or_else(|| Error::server("the edge layer did not run"))
    }

    /// What counts as one sender: an address, or the /64 that one IPv6 subscriber has. Behind an unconfigured proxy,
    /// one of a few shares of its senders.
    pub fn network(&self) -> String {
        let network = sender_network(self.address);
        self.share.map_or_else(|| network.clone(), |share| format!("{network}#{share}"))
    }

    /// Where the request came from, for the audit log.
    pub fn origin(&self, actor: &str) -> Origin {
        Origin { actor: actor.to_owned(), address: self.address.to_string(), request_id: self.id.clone() }
    }

    /// The time and origin of a change made by this request.
    pub fn act(&self, actor: &str) -> Act {
        Act { now: self.now, origin: self.origin(actor) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestInfo {
    type Rejection = OAuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, OAuthError> {
        parts.extensions.remove::<Self>().ok_or_else(|| OAuthError(Error::server("the edge layer did not run")))
    }
}

/// Whether the peer is a proxy whose forwarding headers are trusted.
pub fn from_trusted_proxy(extensions: &Extensions, trusted: &[IpNet]) -> bool {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
    peer.is_some_and(|peer| trusted.iter().any(|network| network.contains(&peer)))
}

/// Headers in which a proxy names the sender. Only the first is ever trusted.
const TELLING: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];
/// Shares into which the senders behind an unconfigured proxy are split.
const SHARES: u32 = 64;

/// The sender of a request, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The peer, or behind trusted proxies the right-most address that is not one of them.
    pub address: IpAddr,
    /// Whether `address` is really the sender.
    pub is_known: bool,
    /// Whether the peer is not trusted, and yet names a sender.
    pub is_unheard: bool,
    /// Set if the peer may be an unconfigured proxy of ours: one of `SHARES`, chosen by the sender that it names. So
    /// one visitor uses up the limits of one share, not of all. Inventing addresses on a machine in our own network
    /// multiplies the limits by that number at most. From any other peer, a header changes nothing.
    pub share: Option<u8>,
}

/// Finds the sender of a request. An unreadable entry ends the search; headers from an untrusted peer are ignored. If
/// the proxies do not name the sender, the last proxy that is known is used.
pub fn sender(request: &Request, trusted: &[IpNet]) -> Sender {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip().to_canonical());
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        let told = TELLING.into_iter().find_map(|name| request.headers().get_all(name).iter().next_back());
        let share = told.filter(|_| trusted.is_empty() && is_near(peer)).map(share);
        return Sender { address: peer, is_known: told.is_none(), is_unheard: told.is_some(), share };
    }
    let (address, is_known) = forwarded_for(request.headers(), peer, is_trusted);
    Sender { address, is_known, is_unheard: false, share: None }
}

/// Reads from the right: anything left of the first address that is not one of our proxies may be forged.
fn forwarded_for(headers: &HeaderMap, peer: IpAddr, is_trusted: impl Fn(&IpAddr) -> bool) -> (IpAddr, bool) {
    let (mut sender, mut is_told) = (peer, false);
    for value in headers.get_all(TELLING[0]).iter().rev() {
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

/// The share in which a forwarded sender is counted, by the last address in the header. Unreadable ones have one share.
fn share(told: &HeaderValue) -> u8 {
    let last = told.to_str().unwrap_or_default().rsplit(',').next().unwrap_or_default();
    // RFC 7239 §4 has for="[2001:db8::1]:4711";proto=http; the others have only an address.
    let named = last.split(';').map(str::trim).find_map(|part| part.split_once('='));
    let text = named.map_or(last.trim(), |(_, value)| value.trim_matches('"'));
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let part = address(bare).map_or(0, |address| crc32fast::hash(sender_network(address).as_bytes()) % SHARES);
    u8::try_from(part).unwrap_or_default()
}

/// Whether a peer may be a proxy of ours: on this machine or in a private network.
fn is_near(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(peer) => peer.is_loopback() || peer.is_private() || peer.is_link_local(),
        IpAddr::V6(peer) => peer.is_loopback() || peer.is_unique_local() || peer.is_unicast_link_local(),
    }
}

/// An address as proxies write it: alone or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    text.parse().ok().or_else(with_port)
}

/// The media types that an endpoint accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// A form, or a flat JSON object.
    FormOrJson,
}

/// A body that was read in full, with its kind.
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
    /// Reads the body of a request without a query: secrets do not belong in URLs (RFC 6749 §2.3.1).
    pub async fn read(request: Request, kind: BodyKind, limit: usize) -> Result<(HeaderMap, Self), Error> {
        let (parts, body) = request.into_parts();
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(Error::invalid_request("parameters belong in the body, not in the URL"));
        }
        let media =
            parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let is_json = kind == BodyKind::FormOrJson && media.eq_ignore_ascii_case("application/json");
        // An absent body has no type: a key can be revoked by its header alone.
        let is_absent = media.is_empty() && body.size_hint().exact() == Some(0);
        if !is_json && !is_absent && !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Error::new(
                ErrorCode::UnsupportedMediaType,
                "the content type must be application/x-www-form-urlencoded",
            ));
        }
        let bytes = read_body(&parts.headers, body, limit).await?;
        Ok((parts.headers, Self { bytes, is_json }))
    }

    /// The parameters, decoded strictly.
    pub fn params(&self) -> Result<Params<'_>, Error> {
        if self.is_json { Params::json(&self.bytes) } else { Params::form(&self.bytes) }
    }
}

pub async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Error> {
    let too_large = || Error::new(ErrorCode::ContentTooLarge, "the body is too large");
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    to_bytes(body, limit).await.map_err(|error| too_large().because(error))
}

/// The `Bearer` credential of a request, if there is exactly one and it is well formed (RFC 6750 §2.1).
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_token68 =
        |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
    match (of_bearer(value).filter(is_token68), values.next()) {
        (Some(credential), None) => Ok(Some(credential)),
        _ => Err(Error::invalid_request("the Authorization header is malformed")),
    }
}

/// The text after the scheme in an `Authorization: Bearer` header. Imported keys may be any text.
pub fn of_bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, credential) = value.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !credential.trim().is_empty()).then_some(credential)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(peer: &str, headers: &[(&str, &str)]) -> Sender {
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(Body::empty()).expect("a request");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().expect("an address"), 4711)));
        sender(&request, &[])
    }

    #[test]
    fn ipv6_subscriber_counts_as_one_sender() {
        let of = |text: &str| {
            let address = text.parse().expect("address");
            let known = (String::new(), true, None);
            RequestInfo { now: Timestamp(0), id: known.0, address, is_sender: known.1, share: known.2 }.network()
        };
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn senders_behind_an_unknown_proxy_share_few_counters() {
        // THREATS: HX1 RL2
        let share = |name: &str, value: &str| sent("127.0.0.1", &[(name, value)]).share.expect("a part");
        let of = |value: &str| share("x-forwarded-for", value);
        let parts: std::collections::HashSet<u8> =
            (0..=u16::MAX).map(|n| of(&format!("2001:db8:0:{n:x}::1"))).collect();
        assert_eq!(parts.len(), 64);
        // Entries by the visitor are on the left and change nothing; one subscriber has one share.
        assert_eq!(of("198.51.100.1, 203.0.113.9"), of("203.0.113.9"));
        assert_eq!(of("203.0.113.9:4711"), of("203.0.113.9:4712"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_eq!(share("forwarded", "for=198.51.100.1, for=\"203.0.113.9:1\";proto=http"), of("203.0.113.9"));
        assert_eq!(share("forwarded", "for=\"[2001:db8::1]\""), of("2001:db8::1"));
        assert_eq!(share("x-real-ip", "203.0.113.9"), of("203.0.113.9"));
        assert_eq!((of("unknown"), of(""), share("forwarded", "for=_hidden")), (0, 0, 0));
        // A header from any other peer changes no count.
        assert_eq!(sent("203.0.113.1", &[("x-forwarded-for", "1.1.1.1")]).share, None);
        assert_eq!(sent("127.0.0.1", &[]), Sender { is_known: true, is_unheard: false, ..sent("127.0.0.1", &[]) });
    }
}
