//! Where a request comes from. Forwarding headers are believed from configured proxies alone: whoever else sends
//! them would choose the address that limits, allowlists and the audit trail see.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use axum::http::HeaderMap;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; of the operator's socket the loopback's.
    pub address: IpAddr,
    /// Whether TLS protects the connection.
    pub secure: bool,
    /// Whether it came through the operator's socket, which only the server's own account can open.
    pub operator: bool,
}

impl Peer {
    /// The client behind this peer: itself, or whom a trusted proxy speaks for.
    #[must_use]
    pub fn client(self, headers: &HeaderMap, proxies: &Networks) -> Self {
        if self.operator || !proxies.contain(self.address) {
            return self;
        }
        let secure = headers.get("x-forwarded-proto").map_or(self.secure, |proto| proto == "https");
        let mut address = self.address;
        let hops = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).collect();
        // From the nearest hop outwards: each trusted proxy vouches for the address before it, and no further.
        for hop in hops.iter().rev() {
            let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
            address = hop.to_canonical();
            if !proxies.contain(address) {
                break;
            }
        }
        Self { address, secure, ..self }
    }
}

/// A range of addresses: `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: u128,
    mask: u128,
    bits: u32,
    v4: bool,
}

/// The text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address or range: write it as 10.0.0.0/8 or fd00::/8")]
pub struct BadNetwork;

/// An address as a number, IPv4 in the last 32 bits.
fn number(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(u32::from(address)), true),
        IpAddr::V6(address) => (u128::from(address), false),
    }
}

impl Network {
    /// Its first and its last address.
    #[must_use]
    pub fn ends(self) -> (IpAddr, IpAddr) {
        let address = |number: u128| match u32::try_from(number) {
            Ok(number) if self.v4 => IpAddr::V4(Ipv4Addr::from(number)),
            _ => IpAddr::V6(Ipv6Addr::from(number)),
        };
        let free = if self.v4 { !self.mask & u128::from(u32::MAX) } else { !self.mask };
        (address(self.base), address(self.base | free))
    }

    /// Whether it holds an address.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let (number, v4) = number(address);
        v4 == self.v4 && number & self.mask == self.base
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let (number, v4) = number(address);
        let width = if v4 { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), |bits| bits.parse::<u32>().map_err(|_| BadNetwork))?;
        if bits > width {
            return Err(BadNetwork);
        }
        let free = u128::MAX.checked_shr(128 - (width - bits)).unwrap_or(0);
        Ok(Self { base: number & !free, mask: !free, bits, v4 })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v6 = Ipv6Addr::from(self.base);
        let address = match u32::try_from(self.base) {
            Ok(base) if self.v4 => IpAddr::V4(Ipv4Addr::from(base)),
            _ => IpAddr::V6(v6),
        };
        write!(f, "{address}/{}", self.bits)
    }
}

/// A list of ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Whether one of them holds an address.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// Separated by commas.
impl FromStr for Networks {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(address: &str) -> Peer {
        Peer { address: address.parse().unwrap(), secure: false, operator: false }
    }

    fn forwarded(from: &str, proto: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", from.parse().unwrap());
        headers.insert("x-forwarded-proto", proto.parse().unwrap());
        headers
    }

    /// Attack: a client names an address of its choice.
    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_for_the_hop_it_saw() {
        let proxies: Networks = "10.0.0.0/8, ::1".parse().unwrap();
        let headers = forwarded("1.1.1.1, 203.0.113.7, 10.0.0.2", "https");
        let client = peer("10.0.0.1").client(&headers, &proxies);
        assert_eq!((client.address, client.secure), ("203.0.113.7".parse().unwrap(), true));
        assert_eq!(peer("203.0.113.9").client(&headers, &proxies), peer("203.0.113.9"));
        assert_eq!(peer("10.0.0.1").client(&forwarded("nonsense", "http"), &proxies), peer("10.0.0.1"));
    }

    #[test]
    fn ranges_hold_what_they_say() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("::/0", "::1", "8.8.8.8"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        for bad in ["", "10.0.0.0/33", "10/8", "fd00::/129", "10.0.0.0/-1", "10.0.0.0/"] {
            assert_eq!(bad.parse::<Network>(), Err(BadNetwork), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_range_reads_back_and_holds_its_base(base: u32, six: u128, bits in 0u32..=32) {
            for address in [IpAddr::V4(base.into()), IpAddr::V6(six.into())] {
                let network: Network = format!("{address}/{bits}").parse().unwrap();
                prop_assert!(network.contains(address));
                prop_assert_eq!(network.to_string().parse::<Network>().unwrap(), network);
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[0-9a-f:./]{0,30}") {
            let _ = text.parse::<Network>();
        }
    }
}
