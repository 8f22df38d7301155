//! Reading fields as Click writes them.

use sprat_click::arguments::parse_unsigned;

use super::Header::{self, Network, Protocol, TcpOrUdp};
use super::{HEADERS, IpField, NAMED};

const EXPECTED: &str = "expected 'HEADER [NAME] [{OFFSET:LENGTH}] [/PREFIX] [& MASK]'";
const BAD_PLACE: &str = "bad offset or length in TCP/IP field";
const BAD_MASK: &str = "bad prefix or mask in TCP/IP field";

/// What is left of a field's text.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    /// Takes `text` behind spaces, if it stands there.
    fn take(&mut self, text: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes a name behind spaces, which may be empty.
    fn word(&mut self) -> &'a str {
        let text = self.0.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        self.0 = rest;
        word
    }

    /// Takes a number behind spaces.
    fn number(&mut self) -> Option<u32> {
        let number = parse_unsigned(self.word())?.ok()?;
        u32::try_from(number).ok()
    }

    /// Takes `[OFFSET:LENGTH]`, `[FIRST-LAST]` or `[OFFSET]` in bytes, in braces in bits; says offset
    /// and length in bits.
    fn place(&mut self) -> Result<Option<(usize, u32)>, &'static str> {
        let (close, unit) = match () {
            () if self.take("[") => ("]", 8),
            () if self.take("{") => ("}", 1),
            () => return Ok(None),
        };
        let offset = self.number().ok_or(EXPECTED)?;
        let length = if self.take(":") || self.take(",") {
            self.number().ok_or(EXPECTED)?
        } else if self.take("-") {
            let last = self.number().ok_or(EXPECTED)?;
            last.wrapping_add(1).saturating_sub(offset)
        } else {
            1
        };
        if !self.take(close) {
            return Err(EXPECTED);
        }
        // Both are of a header, or at most of a packet.
        if offset > 0xffff || !(1..=0xffff).contains(&length) {
            return Err(BAD_PLACE);
        }
        Ok(Some(((offset * unit) as usize, length * unit)))
    }
}

impl IpField {
    /// Reads a field.
    pub(in crate::analysis) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut rest = Scanner(text);
        let header = match rest.word() {
            "ip" => {
                let mut protocol = Scanner(rest.0);
                let number = match protocol.word() {
                    "proto" => protocol
                        .number()
                        .and_then(|number| u8::try_from(number).ok()),
                    _ => None,
                };
                // `ip proto` by itself is a field.
                if number.is_some() {
                    rest = protocol;
                }
                number.map_or(Network, Protocol)
            }
            // Click's manual page has them without a header too.
            "sport" | "dport" => {
                rest = Scanner(text);
                TcpOrUdp
            }
            name => {
                let known = HEADERS.iter().find(|known| known.0 == name);
                known.ok_or(EXPECTED)?.1
            }
        };
        let mut behind = Scanner(rest.0);
        let named = Self::named(header, behind.word());
        if named.is_some() {
            rest = behind;
        }
        let mut field = match (named, rest.place()?) {
            (None, None) => return Err(EXPECTED),
            (Some(field), None) => field,
            (None, Some((offset, length))) => Self {
                header,
                offset,
                length,
            },
            (Some(field), Some((offset, length))) => field.part(offset, length)?,
        };
        if rest.take("/") {
            let length = rest.number().ok_or(BAD_MASK)?;
            if !(1..=field.length).contains(&length) {
                return Err(BAD_MASK);
            }
            field.length = length;
        }
        if rest.take("&") {
            field = field.masked(rest.number().ok_or(BAD_MASK)?)?;
        }
        match rest.0.trim_start() {
            "" => Ok(field),
            _ => Err("garbage after field specification"),
        }
    }

    fn named(header: Header, name: &str) -> Option<Self> {
        let named = |header| {
            let field = NAMED
                .iter()
                .find(|named| (named.0, named.1) == (header, name));
            field.map(|&(header, _, offset, length)| Self {
                header,
                offset,
                length,
            })
        };
        match (header, name) {
            (Network, "sport" | "dport") => named(TcpOrUdp),
            _ => named(header),
        }
    }

    fn part(self, offset: usize, length: u32) -> Result<Self, &'static str> {
        match offset + length as usize <= self.length as usize {
            true => Ok(Self {
                offset: self.offset + offset,
                length,
                ..self
            }),
            false => Err(BAD_PLACE),
        }
    }

    fn masked(self, mask: u32) -> Result<Self, &'static str> {
        let length = mask.count_ones();
        let below = mask.trailing_zeros();
        // Nothing but ones is left of the mask without what is below them.
        let contiguous = mask != 0 && (u64::from(mask) >> below).wrapping_add(1).is_power_of_two();
        match self.length.checked_sub(length + below) {
            Some(above) if contiguous => Ok(Self {
                offset: self.offset + above as usize,
                length,
                ..self
            }),
            _ => Err(BAD_MASK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_fields_are_named() {
        for (field, wrong) in [
            ("ip sort", EXPECTED),
            ("", EXPECTED),
            ("arp[1]", EXPECTED),
            ("ip[1", EXPECTED),
            ("ip[5-3]", BAD_PLACE),
            ("ip src[3:2]", BAD_PLACE),
            ("ip src/33", BAD_MASK),
            ("ip src/0", BAD_MASK),
            ("ip tos & 0x101", BAD_MASK),
            ("ip tos & 5", BAD_MASK),
            ("ip tos now", "garbage after field specification"),
        ] {
            assert_eq!(IpField::parse(field), Err(wrong), "{field}");
        }
    }
}
