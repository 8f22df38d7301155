//! The 48-bit address of an Ethernet station.

use core::fmt;
use core::str::FromStr;

/// An IEEE 802 MAC-48 address, in the order its bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct EtherAddress(pub [u8; 6]);

impl EtherAddress {
    /// The address every station listens to.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// True when the group bit is set: multicast and broadcast (IEEE 802, 8.2).
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// True for the broadcast address alone.
    #[must_use]
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }
}

/// Upper-case hexadecimal with dashes, the form IEEE 802 prescribes and Click prints.
impl fmt::Display for EtherAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}-{b:02X}-{c:02X}-{d:02X}-{e:02X}-{g:02X}")
    }
}

impl fmt::Debug for EtherAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text was not six hexadecimal bytes joined by `:` or by `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidEtherAddress;

impl fmt::Display for InvalidEtherAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected six hexadecimal bytes such as 00:1b:21:3c:9d:f8")
    }
}

impl core::error::Error for InvalidEtherAddress {}

/// Six bytes of one or two hexadecimal digits, joined throughout by `:` or by `-`.
impl FromStr for EtherAddress {
    type Err = InvalidEtherAddress;

    fn from_str(text: &str) -> Result<Self, InvalidEtherAddress> {
        let separator = if text.contains(':') { ':' } else { '-' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().ok_or(InvalidEtherAddress)?;
            // `from_str_radix` would take a sign.
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(InvalidEtherAddress);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| InvalidEtherAddress)?;
        }
        match parts.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(InvalidEtherAddress),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;

    #[test]
    fn prints_upper_case_with_dashes() {
        let address = EtherAddress([0x00, 0x05, 0x4e, 0x50, 0x3c, 0x1a]);
        assert_eq!(address.to_string(), "00-05-4E-50-3C-1A");
    }

    #[test]
    fn reads_colons_dashes_and_single_digits() {
        let expected = EtherAddress([0, 5, 0x4e, 0x50, 0x3c, 0x1a]);
        for text in ["00:05:4e:50:3C:1A", "00-05-4E-50-3C-1A", "0:5:4e:50:3c:1a"] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_six_bytes() {
        for text in [
            "",
            "0:1:2:3:4",
            "0:1:2:3:4:5:6",
            "0:1:2:3:4:100",
            "0:1:2:3:4:+5",
            "0:1:2:3:4-5",
            "0:1:2:3::5",
        ] {
            assert_eq!(
                text.parse::<EtherAddress>(),
                Err(InvalidEtherAddress),
                "{text}"
            );
        }
    }
}
