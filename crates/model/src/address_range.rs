//! Ranges of IP addresses, as allowlists hold them: read strictly and kept in one form.
//!
//! An IPv4 address that comes mapped into IPv6 (`::ffff:10.0.0.1`) counts as the IPv4 address it is, in the list and
//! from the client alike. Zone ids (`fe80::1%eth0`) name a network card rather than an address, and are refused.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// The longest text that can be a range.
const LONGEST: usize = 64;
/// The prefix at which IPv6 holds the addresses of IPv4.
const MAPPED: u8 = 96;
/// Ranges with a shorter prefix hold a good part of all addresses there are.
const NARROW_V4: u8 = 8;
const NARROW_V6: u8 = 16;

/// A range of addresses; a single address is the range that holds it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange(IpNet);

/// Why a text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddressRange {
    /// Not an address or a range.
    #[error("not an address or range: write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32")]
    Unreadable,
    /// With a zone id.
    #[error("leave out the zone id behind `%`: it names a network card, not an address")]
    Zone,
    /// Every address there is.
    #[error("this range holds every address: switch the allowlist off instead")]
    Everything,
    /// No client has such an address.
    #[error("no client has such an address: it stands for groups of hosts, or for none")]
    NoClients,
}

impl AddressRange {
    /// Whether it holds the address.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether it holds all of another range.
    #[must_use]
    pub fn holds(self, other: Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Whether it holds so many addresses that it is hardly meant: whoever saves it is asked to say so.
    #[must_use]
    pub fn is_wide(self) -> bool {
        match self.0 {
            IpNet::V4(range) => range.prefix_len() < NARROW_V4,
            IpNet::V6(range) => range.prefix_len() < NARROW_V6,
        }
    }
}

/// The first address of a range in place of whichever one it was written with, and IPv4 out of IPv6.
fn normal(range: IpNet) -> Option<IpNet> {
    let range = range.trunc();
    let IpNet::V6(six) = range else { return Some(range) };
    match six.network().to_ipv4_mapped() {
        Some(four) => {
            let prefix = six.prefix_len().checked_sub(MAPPED)?;
            Ipv4Net::new(four, prefix).ok().map(|range| IpNet::V4(range.trunc()))
        }
        None => Some(range),
    }
}

impl FromStr for AddressRange {
    type Err = BadAddressRange;

    fn from_str(text: &str) -> Result<Self, BadAddressRange> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(BadAddressRange::Unreadable);
        }
        if text.contains('%') {
            return Err(BadAddressRange::Zone);
        }
        let range = match text.contains('/') {
            true => text.parse::<IpNet>().map_err(|_| BadAddressRange::Unreadable)?,
            false => IpNet::from(text.parse::<IpAddr>().map_err(|_| BadAddressRange::Unreadable)?),
        };
        let range = normal(range).ok_or(BadAddressRange::Unreadable)?;
        // All of IPv4, as IPv6 writes it, is a range of its own there.
        let first = range.network();
        match () {
            () if range.prefix_len() == 0 => Err(BadAddressRange::Everything),
            () if first.is_multicast()
                || (first.is_unspecified() && range.prefix_len() == range.max_prefix_len()) =>
            {
                Err(BadAddressRange::NoClients)
            }
            () => Ok(Self(range)),
        }
    }
}

/// `203.0.113.0/24`; a single address without its prefix.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.network())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, BadAddressRange> {
        text.parse::<AddressRange>().map(|range| range.to_string())
    }

    #[test]
    fn a_range_is_kept_in_one_form() {
        for (text, kept) in [
            ("203.0.113.7", "203.0.113.7"),
            (" 203.0.113.7/32 ", "203.0.113.7"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("::1", "::1"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("0.0.0.0/1", "0.0.0.0/1"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(kept), "{text}");
        }
    }

    #[test]
    fn what_is_no_range_says_why() {
        use BadAddressRange::{Everything, NoClients, Unreadable, Zone};
        for (text, why) in [
            ("", Unreadable),
            ("10.0.0", Unreadable),
            ("10.0.0.0/33", Unreadable),
            ("010.0.0.1", Unreadable),
            ("10.0.0.0/8/8", Unreadable),
            ("localhost", Unreadable),
            ("fe80::1%eth0", Zone),
            ("fe80::%1/64", Zone),
            ("0.0.0.0/0", Everything),
            ("::/0", Everything),
            ("::ffff:0:0/96", Everything),
            ("224.0.0.1", NoClients),
            ("ff02::1", NoClients),
            ("0.0.0.0", NoClients),
            ("::", NoClients),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
        assert_eq!(read(&"1".repeat(10_000)), Err(Unreadable));
    }

    #[test]
    fn an_address_counts_the_same_however_it_arrives() {
        let range: AddressRange = "10.0.0.0/8".parse().unwrap();
        assert!(range.contains("10.1.2.3".parse().unwrap()));
        assert!(range.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!range.contains("::10.1.2.3".parse().unwrap()));
        assert!(!range.contains("11.0.0.1".parse().unwrap()));
        assert!(range.holds("10.9.0.0/16".parse().unwrap()) && !range.is_wide());
        assert!("8.0.0.0/7".parse::<AddressRange>().unwrap().is_wide());
        assert!("2000::/3".parse::<AddressRange>().unwrap().is_wide());
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_fails_to_be_read_back(text in "[0-9a-f:./%]{0,40}") {
            if let Ok(range) = text.parse::<AddressRange>() {
                prop_assert_eq!(range.to_string().parse::<AddressRange>(), Ok(range));
                prop_assert!(range.holds(range));
            }
        }

        #[test]
        fn a_range_holds_its_own_addresses_alone(a in any::<u32>(), b in any::<u32>(), prefix in 1_u8..=32) {
            let (one, two) = (std::net::Ipv4Addr::from(a), std::net::Ipv4Addr::from(b));
            let Ok(range) = format!("{one}/{prefix}").parse::<AddressRange>() else { return Ok(()) };
            prop_assert!(range.contains(one.into()));
            let same = a.checked_shr(32 - u32::from(prefix)) == b.checked_shr(32 - u32::from(prefix));
            prop_assert_eq!(range.contains(two.into()), same);
        }
    }
}
