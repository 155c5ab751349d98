//! Owns the networks in which a key may be used. Does not determine a request's sender; see `http::extract`.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::error::Error;

/// Most networks of one key.
const NETWORKS_MAX: usize = 50;

/// An allow-list of networks in CIDR notation (RFC 4632); an empty one allows every address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Parses networks or single addresses, split by spaces, commas or lines.
    ///
    /// # Errors
    /// `invalid_request` naming the malformed one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts = text.split([' ', ',', '\n', '\r', '\t']).filter(|part| !part.is_empty());
        Self::all(parts.map(network))
    }

    /// Parses a list of networks or single addresses, one each.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of(list: &[String]) -> Result<Self, Error> {
        Self::all(list.iter().map(|text| network(text)))
    }

    fn all(networks: impl Iterator<Item = Result<IpNet, Error>>) -> Result<Self, Error> {
        let networks = networks.collect::<Result<Vec<_>, _>>()?;
        if networks.len() > NETWORKS_MAX {
            return Err(Error::invalid_request(format!("a key has at most {NETWORKS_MAX} networks")));
        }
        Ok(Self(networks))
    }

    /// Whether every address is allowed.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request from `address` is allowed. An unknown address is allowed only if every address is.
    #[must_use]
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        self.is_any()
            || address.is_some_and(|address| self.0.iter().any(|network| network.contains(&address.to_canonical())))
    }

    /// Whether every address in these networks is in `other` too.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let one = |inner: &IpNet| other.0.iter().any(|outer| outer.contains(inner));
        other.is_any() || (!self.is_any() && self.0.iter().all(one))
    }

    /// The networks as text, one each.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().collect::<Vec<_>>().join(" "))
    }
}

/// The network that counts as one place of a key's use: a /24 of IPv4, a /48 of IPv6.
#[must_use]
pub fn place(address: IpAddr) -> String {
    let address = address.to_canonical();
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, length).map_or_else(|_| address.to_string(), |place| place.trunc().to_string())
}

fn network(text: &str) -> Result<IpNet, Error> {
    let shown: String = text.chars().filter(|c| c.is_ascii_graphic()).take(50).collect();
    let wrong = || {
        Error::invalid_request(format!("{shown} is not a network; use 192.0.2.0/24, 2001:db8::/32 or a single address"))
    };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network = canonical(text.parse().map_err(|_| wrong())?);
    // 192.0.2.7/24 may mean the host or the network: the author has to decide.
    if network.network() != network.addr() {
        return Err(Error::invalid_request(format!("{shown} has host bits; use {} instead", network.trunc())));
    }
    Ok(network)
}

/// Converts a network of IPv4-mapped addresses (RFC 4291 §2.5.5.2) to the IPv4 network, as senders have IPv4 addresses.
fn canonical(network: IpNet) -> IpNet {
    let IpAddr::V4(address) = network.addr().to_canonical() else { return network };
    let length = if matches!(network, IpNet::V6(_)) { network.prefix_len().checked_sub(96) } else { None };
    length.and_then(|length| IpNet::new(address.into(), length).ok()).unwrap_or(network)
}

/// The network that counts as one sender: an address, or the /64 that one IPv6 subscriber has.
#[must_use]
pub fn sender_network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_strict_and_fold_mapped_addresses() {
        // THREATS: AK12
        let networks = Networks::parse("192.0.2.0/24, 2001:db8::/32\n198.51.100.7").expect("networks");
        for (address, allowed) in [
            ("192.0.2.200", true),
            ("::ffff:192.0.2.200", true),
            ("192.0.3.1", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(networks.allow(address.parse().ok()), allowed, "{address}");
        }
        assert!(!networks.allow(None));
        assert!(Networks::default().allow(None));
        let mapped = Networks::parse("::ffff:192.0.2.0/120 ::ffff:198.51.100.7").expect("networks");
        assert_eq!(mapped.to_string(), "192.0.2.0/24 198.51.100.7/32");
        assert!(mapped.allow("192.0.2.200".parse().ok()) && !mapped.allow("192.0.3.1".parse().ok()));
        assert!(Networks::parse("::ffff:192.0.2.7/120").is_err());
        assert_eq!(Networks::parse(&networks.to_string()).expect("again"), networks);
    }

    #[test]
    fn network_list_is_within_another_if_each_network_is() {
        let of = |text: &str| Networks::parse(text).expect("networks");
        for (inner, outer, within) in [
            ("192.0.2.7", "192.0.2.0/24 10.0.0.0/8", true),
            ("192.0.2.0/25 10.1.0.0/16", "192.0.2.0/24 10.0.0.0/8", true),
            ("192.0.2.0/23", "192.0.2.0/24", false),
            ("192.0.2.7 198.51.100.1", "192.0.2.0/24", false),
            ("", "192.0.2.0/24", false),
            ("192.0.2.7", "", true),
            ("", "", true),
        ] {
            assert_eq!(of(inner).is_within(&of(outer)), within, "{inner} within {outer}");
        }
    }

    #[test]
    fn malformed_networks_are_refused() {
        for text in ["192.0.2.0/33", "192.0.2.7/24", "192.0.2", "0/0", "2001:db8::/129", "example.com", "192.0.2.0/-1"]
        {
            assert!(Networks::parse(text).is_err(), "{text}");
        }
        assert!(Networks::parse(&"10.0.0.0/8 ".repeat(51)).is_err());
        assert!(Networks::parse("  ").expect("none").is_any());
    }
}
