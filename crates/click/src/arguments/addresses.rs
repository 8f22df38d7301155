//! IPv4, IPv6 and Ethernet addresses, as literals or by name.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use sprat_packet::EtherAddress;

use super::{Argument, ArgumentError, Names};

/// An IPv4 address and the bits of it that count. The mask need not be contiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ipv4Prefix {
    /// The address as written: bits outside the mask are kept.
    pub address: Ipv4Addr,
    /// A set bit counts.
    pub mask: Ipv4Addr,
}

impl Ipv4Prefix {
    /// The prefix of the first `length` bits; `None` above 32.
    #[must_use]
    pub fn new(address: Ipv4Addr, length: u32) -> Option<Self> {
        Some(Self {
            address,
            mask: ipv4_mask(length)?,
        })
    }

    /// The number of leading bits that count, if no others do.
    #[must_use]
    pub fn length(self) -> Option<u32> {
        let length = self.mask.to_bits().leading_ones();
        (ipv4_mask(length) == Some(self.mask)).then_some(length)
    }

    /// The address with the bits that do not count cleared.
    #[must_use]
    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() & self.mask.to_bits())
    }

    /// The address with the bits that do not count set.
    #[must_use]
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask.to_bits())
    }

    /// True when `address` agrees in every bit that counts.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.address.to_bits()) & self.mask.to_bits() == 0
    }
}

/// `ADDRESS/LENGTH`, or `ADDRESS/MASK` for a mask with holes.
impl fmt::Display for Ipv4Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "{}/{length}", self.address),
            None => write!(f, "{}/{}", self.address, self.mask),
        }
    }
}

fn ipv4_mask(length: u32) -> Option<Ipv4Addr> {
    match length {
        0 => Some(Ipv4Addr::UNSPECIFIED),
        1..=32 => Some(Ipv4Addr::from_bits(u32::MAX << (32 - length))),
        _ => None,
    }
}

/// The name in `NAME` or `NAME:SUFFIX`, if it can be one and the suffix is one of these, in letters of
/// either case.
#[inline(never)]
fn name_of<'a>(text: &'a str, suffixes: &[&str]) -> Option<&'a str> {
    let name = match text.split_once(':') {
        None => text,
        Some((name, suffix)) => {
            let known = |known: &&str| suffix.eq_ignore_ascii_case(known);
            suffixes.iter().any(known).then_some(name)?
        }
    };
    let plausible =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@' | b'/' | b'-' | b'.');
    (!name.is_empty() && name.bytes().all(plausible)).then_some(name)
}

/// Reads a dotted address; with `partial`, the last bytes may be missing and are zero.
fn dotted(text: &str, partial: bool) -> Option<Ipv4Addr> {
    let mut bytes = [0; 4];
    let mut count = 0;
    for part in text.split('.') {
        let byte = bytes.get_mut(count)?;
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *byte = part.parse().ok()?;
        count += 1;
    }
    (count == 4 || partial).then_some(Ipv4Addr::from(bytes))
}

impl Argument for Ipv4Addr {
    const EXPECTED: Option<&'static str> = Some("IP address");

    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        dotted(text, false)
            .or_else(|| name_of(text, &["ip", "ip4"]).and_then(|name| names.ipv4(name)))
            .or_else(|| {
                let (name, suffix) = text.rsplit_once(':')?;
                if suffix.eq_ignore_ascii_case("bcast") {
                    return names.ipv4_prefix(name).map(Ipv4Prefix::broadcast);
                }
                // Where nobody says who it is, it is the network's first address.
                let first = |prefix: Ipv4Prefix| prefix.network().to_bits() | 1;
                let gateway = || Some(Ipv4Addr::from_bits(first(names.ipv4_prefix(name)?)));
                let asked = suffix.eq_ignore_ascii_case("gw");
                asked.then(|| names.gateway(name).or_else(gateway))?
            })
            .ok_or(ArgumentError::Unreadable)
    }
}

/// `ADDRESS/LENGTH` or `ADDRESS/MASK`. Before a length the last bytes may be left out: `18.26/16`.
impl Argument for Ipv4Prefix {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        parse_ipv4_prefix(text, names).ok_or(ArgumentError::Unreadable)
    }
}

fn parse_ipv4_prefix(text: &str, names: &dyn Names) -> Option<Ipv4Prefix> {
    let suffixes = ["net", "ipnet", "ip4net"];
    if let Some(prefix) = name_of(text, &suffixes).and_then(|name| names.ipv4_prefix(name)) {
        return Some(prefix);
    }
    let (address, mask) = text.rsplit_once('/')?;
    if let Some(mask) = dotted(mask, false) {
        let address = Ipv4Addr::parse(address, names).ok()?;
        return Some(Ipv4Prefix { address, mask });
    }
    let length = prefix_length(mask, 32)?;
    let address = dotted(address, true).or_else(|| Ipv4Addr::parse(address, names).ok())?;
    Ipv4Prefix::new(address, length)
}

fn prefix_length(text: &str, most: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|length| digits && *length <= most)
}

/// A prefix, or an address standing for itself alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressOrPrefix(pub Ipv4Prefix);

impl Argument for AddressOrPrefix {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        if let Ok(address) = Ipv4Addr::parse(text, names) {
            return Ok(Self(Ipv4Prefix {
                address,
                mask: Ipv4Addr::BROADCAST,
            }));
        }
        Ipv4Prefix::parse(text, names).map(Self)
    }
}

impl Argument for Ipv6Addr {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        text.parse()
            .ok()
            .or_else(|| name_of(text, &["ip6"]).and_then(|name| names.ipv6(name)))
            .ok_or(ArgumentError::Unreadable)
    }
}

/// An IPv6 address and the number of its leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ipv6Prefix {
    /// The address as written: bits after the prefix are kept.
    pub address: Ipv6Addr,
    /// 0 to 128.
    pub length: u8,
}

impl Ipv6Prefix {
    /// The bits that count, set.
    #[must_use]
    pub fn mask(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(
            u128::MAX
                .checked_shl(128 - u32::from(self.length.min(128)))
                .unwrap_or(0),
        )
    }

    /// The address with the bits that do not count cleared.
    #[must_use]
    pub fn network(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.address.to_bits() & self.mask().to_bits())
    }

    /// True when `address` agrees in every bit that counts.
    #[must_use]
    pub fn contains(self, address: Ipv6Addr) -> bool {
        (address.to_bits() ^ self.address.to_bits()) & self.mask().to_bits() == 0
    }
}

impl fmt::Display for Ipv6Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// `ADDRESS/LENGTH`, or `ADDRESS/MASK` with a contiguous mask.
impl Argument for Ipv6Prefix {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        parse_ipv6_prefix(text, names).ok_or(ArgumentError::Unreadable)
    }
}

fn parse_ipv6_prefix(text: &str, names: &dyn Names) -> Option<Ipv6Prefix> {
    if let Some(prefix) = name_of(text, &["ip6net"]).and_then(|name| names.ipv6_prefix(name)) {
        return Some(prefix);
    }
    let (address, length) = text.rsplit_once('/')?;
    let address = Ipv6Addr::parse(address, names).ok()?;
    let length = match prefix_length(length, 128) {
        Some(length) => length,
        None => {
            let mask = length.parse::<Ipv6Addr>().ok()?.to_bits();
            let ones = mask.leading_ones();
            (mask.count_ones() == ones).then_some(ones)?
        }
    };
    Some(Ipv6Prefix {
        address,
        length: u8::try_from(length).ok()?,
    })
}

impl Argument for EtherAddress {
    const EXPECTED: Option<&'static str> = Some("Ethernet address");

    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        text.parse()
            .ok()
            .or_else(|| {
                name_of(text, &["eth", "ether", "ethernet"]).and_then(|name| names.ethernet(name))
            })
            .ok_or(ArgumentError::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoNames;
    use super::*;
    use alloc::string::ToString;

    /// `AddressInfo(a 1.0.0.2/24 00:01:02:03:04:05, b 2.0.0.0/24)`.
    struct Declared;

    impl Names for Declared {
        fn ipv4(&self, name: &str) -> Option<Ipv4Addr> {
            (name == "a").then_some(Ipv4Addr::new(1, 0, 0, 2))
        }
        fn ipv4_prefix(&self, name: &str) -> Option<Ipv4Prefix> {
            let address = self.ipv4(name);
            address
                .or_else(|| (name == "b").then_some(Ipv4Addr::new(2, 0, 0, 9)))
                .and_then(|address| Ipv4Prefix::new(address, 24))
        }
        fn gateway(&self, name: &str) -> Option<Ipv4Addr> {
            (name == "a").then_some(Ipv4Addr::new(1, 0, 0, 1))
        }
        fn ethernet(&self, name: &str) -> Option<EtherAddress> {
            (name == "a").then_some(EtherAddress([0, 1, 2, 3, 4, 5]))
        }
    }

    #[test]
    fn prefixes_have_lengths_or_masks_and_may_be_short() {
        for (text, expected) in [
            ("10.1.2.3/8", "10.1.2.3/8"),
            ("18.26/16", "18.26.0.0/16"),
            ("0/0", "0.0.0.0/0"),
            ("1.2.3.0/255.255.255.0", "1.2.3.0/24"),
            ("1.2.3.4/255.0.255.0", "1.2.3.4/255.0.255.0"),
        ] {
            assert_eq!(
                Ipv4Prefix::parse(text, &NoNames).map(|p| p.to_string()),
                Ok(expected.to_string()),
                "{text}"
            );
        }
        for text in [
            "1.2.3.4",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4.5/8",
            "1.2.3.256/8",
            "/8",
            "1.2/255.0.0.0",
            "1.2.3.4/+8",
        ] {
            assert!(Ipv4Prefix::parse(text, &NoNames).is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_with_holes_compares_only_what_counts() {
        let prefix = Ipv4Prefix::parse("1.2.3.4/255.0.255.0", &NoNames).unwrap();
        assert!(prefix.contains(Ipv4Addr::new(1, 99, 3, 99)));
        assert!(!prefix.contains(Ipv4Addr::new(1, 2, 4, 4)));
        assert_eq!(prefix.network(), Ipv4Addr::new(1, 0, 3, 0));
        assert_eq!(prefix.length(), None);
    }

    #[test]
    fn an_address_alone_is_a_prefix_of_32_bits() {
        let read = AddressOrPrefix::parse("1.2.3.4", &NoNames).unwrap();
        assert_eq!(read.0.length(), Some(32));
        assert_eq!(
            AddressOrPrefix::parse("1.2.3.4/8", &NoNames)
                .unwrap()
                .0
                .length(),
            Some(8)
        );
    }

    #[test]
    fn names_stand_for_the_kind_that_is_asked_for() {
        assert_eq!(
            Ipv4Addr::parse("a", &Declared),
            Ok(Ipv4Addr::new(1, 0, 0, 2))
        );
        assert_eq!(
            Ipv4Addr::parse("a:ip", &Declared),
            Ok(Ipv4Addr::new(1, 0, 0, 2))
        );
        assert_eq!(
            Ipv4Prefix::parse("a:ipnet", &Declared).unwrap().length(),
            Some(24)
        );
        assert_eq!(
            EtherAddress::parse("a:eth", &Declared),
            Ok(EtherAddress([0, 1, 2, 3, 4, 5]))
        );
        assert_eq!(
            Ipv4Addr::parse("a:gw", &Declared),
            Ok(Ipv4Addr::new(1, 0, 0, 1))
        );
        assert_eq!(
            Ipv4Addr::parse("a:bcast", &Declared),
            Ok(Ipv4Addr::new(1, 0, 0, 255))
        );
        assert_eq!(
            Ipv4Addr::parse("a:BCast", &Declared),
            Ok(Ipv4Addr::new(1, 0, 0, 255))
        );
        assert_eq!(
            Ipv4Addr::parse("b:gw", &Declared),
            Ok(Ipv4Addr::new(2, 0, 0, 1))
        );
        assert_eq!(
            EtherAddress::parse("a:Ethernet", &Declared),
            Ok(EtherAddress([0, 1, 2, 3, 4, 5]))
        );
        assert!(Ipv4Addr::parse("c:gw", &Declared).is_err());
        assert!(Ipv4Addr::parse("a:eth", &Declared).is_err());
        assert!(Ipv4Addr::parse("b", &Declared).is_err());
        assert_eq!(
            AddressOrPrefix::parse("a:ipnet", &Declared)
                .unwrap()
                .0
                .length(),
            Some(24)
        );
    }

    #[test]
    fn ipv6_prefixes_are_read() {
        let prefix = Ipv6Prefix::parse("2001:db8::1/32", &NoNames).unwrap();
        assert_eq!(prefix.network().to_string(), "2001:db8::");
        assert!(prefix.contains("2001:db8:ffff::".parse().unwrap()));
        assert_eq!(
            Ipv6Prefix::parse("2001:db8::/ffff:ffff::", &NoNames)
                .unwrap()
                .length,
            32
        );
        assert_eq!(
            Ipv6Prefix::parse("::/0", &NoNames).unwrap().mask(),
            Ipv6Addr::UNSPECIFIED
        );
        assert!(Ipv6Prefix::parse("::/129", &NoNames).is_err());
    }
}
