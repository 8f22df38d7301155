//! What records say, from text to the bytes that travel.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use sprat::net::dns::{Kind, Name};

use crate::digits::{BASE_32, BASE_64, Base, HEX};
use crate::kinds::{Field, fields, kind};
use crate::text::Word;

/// The bytes of a record's data.
pub(crate) fn read(kind: Kind, words: &[Word<'_>], origin: &Name) -> Result<Vec<u8>, &'static str> {
    let mut data = Data {
        words,
        origin,
        bytes: Vec::new(),
    };
    if data.words.first().is_some_and(|word| word.text == "\\#") {
        data.generic()?;
    } else {
        let fields = fields(kind);
        let fields = fields.ok_or("expected \\# LENGTH HEX, as the kind has no form of its own")?;
        fields.iter().try_for_each(|field| data.field(*field))?;
    }
    if !data.words.is_empty() {
        return Err("there is more than the record has fields");
    }
    if u16::try_from(data.bytes.len()).is_err() {
        return Err("the record is longer than 65535 bytes");
    }
    Ok(data.bytes)
}

/// Data that is being read, and what is left to read.
struct Data<'a> {
    words: &'a [Word<'a>],
    origin: &'a Name,
    bytes: Vec<u8>,
}

impl<'a> Data<'a> {
    fn next(&mut self, expected: &'static str) -> Result<&'a str, &'static str> {
        let (first, rest) = self.words.split_first().ok_or(expected)?;
        self.words = rest;
        Ok(first.text)
    }

    fn parse<T: core::str::FromStr>(&mut self, expected: &'static str) -> Result<T, &'static str> {
        self.next(expected)?.parse().map_err(|_| expected)
    }

    fn field(&mut self, field: Field) -> Result<(), &'static str> {
        match field {
            Field::Ipv4 => {
                let address: Ipv4Addr = self.parse("expected an IPv4 address")?;
                self.bytes.extend(address.octets());
            }
            Field::Ipv6 => {
                let address: Ipv6Addr = self.parse("expected an IPv6 address")?;
                self.bytes.extend(address.octets());
            }
            Field::Name => {
                let text = self.next("expected a name")?;
                let name = name(text, self.origin).ok_or("expected a name")?;
                self.bytes.extend_from_slice(name.as_bytes());
            }
            Field::Byte => {
                let number: u8 = self.parse("expected a number up to 255")?;
                self.bytes.push(number);
            }
            Field::Short => {
                let number: u16 = self.parse("expected a number up to 65535")?;
                self.bytes.extend(number.to_be_bytes());
            }
            Field::Word => {
                let number: u32 = self.parse("expected a number up to 4294967295")?;
                self.bytes.extend(number.to_be_bytes());
            }
            Field::Span => {
                let expected = "expected a time such as 3600 or 1h";
                let seconds = span(self.next(expected)?).ok_or(expected)?;
                self.bytes.extend(seconds.to_be_bytes());
            }
            Field::Moment => {
                let expected = "expected a moment as YYYYMMDDhhmmss";
                let seconds = moment(self.next(expected)?).ok_or(expected)?;
                self.bytes.extend(seconds.to_be_bytes());
            }
            Field::Kind => {
                let kind = self.kind()?;
                self.bytes.extend(kind.0.to_be_bytes());
            }
            Field::Text => {
                let text = self.next("expected a text")?;
                self.behind_length(|bytes| unescape(text, bytes))?;
            }
            Field::Texts => {
                self.field(Field::Text)?;
                while !self.words.is_empty() {
                    self.field(Field::Text)?;
                }
            }
            Field::Value => {
                let value = self.next("expected a value")?;
                unescape(value, &mut self.bytes)?;
            }
            Field::Hex => self.digits(&HEX, "expected hexadecimal digits")?,
            Field::Base64 => self.digits(&BASE_64, "expected digits of base 64")?,
            Field::Salt => {
                let expected = "expected salt in hexadecimal digits, or -";
                let salt = self.next(expected)?;
                let digits = if salt == "-" { "" } else { salt };
                self.behind_length(|bytes| HEX.read(digits.bytes(), bytes).ok_or(expected))?;
            }
            Field::Hash => {
                let expected = "expected a hash in digits of base 32";
                let hash = self.next(expected)?;
                self.behind_length(|bytes| BASE_32.read(hash.bytes(), bytes).ok_or(expected))?;
            }
            Field::Kinds => self.kinds()?,
        }
        Ok(())
    }

    /// Adds bytes, and before them how many there are.
    fn behind_length(
        &mut self,
        add: impl FnOnce(&mut Vec<u8>) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let at = self.bytes.len();
        self.bytes.push(0);
        add(&mut self.bytes)?;
        let length = self.bytes.len() - at - 1;
        self.bytes[at] = u8::try_from(length).map_err(|_| "a text is longer than 255 bytes")?;
        Ok(())
    }

    /// All words that are left, as digits.
    fn digits(&mut self, base: &Base, expected: &'static str) -> Result<(), &'static str> {
        let words = core::mem::take(&mut self.words);
        if words.is_empty() {
            return Err(expected);
        }
        let digits = words.iter().flat_map(|word| word.text.bytes());
        base.read(digits, &mut self.bytes).ok_or(expected)
    }

    fn kind(&mut self) -> Result<Kind, &'static str> {
        let word = self.next("expected a kind of record")?;
        kind(word).ok_or("there is no such kind of record")
    }

    /// All words that are left, as bits of the kinds they name (RFC 4034, section 4.1.2).
    fn kinds(&mut self) -> Result<(), &'static str> {
        // A bit for each kind there can be.
        let mut bits = alloc::vec![0u8; 8192];
        while !self.words.is_empty() {
            let kind = self.kind()?.0;
            bits[usize::from(kind / 8)] |= 0x80 >> (kind % 8);
        }
        for (window, bits) in (0u8..=255).zip(bits.chunks(32)) {
            if let Some((length, _)) = (1u8..=32).zip(bits).rfind(|(_, bits)| **bits != 0) {
                self.bytes.extend([window, length]);
                self.bytes.extend_from_slice(&bits[..usize::from(length)]);
            }
        }
        Ok(())
    }

    /// `\# LENGTH HEX` (RFC 3597, section 5).
    fn generic(&mut self) -> Result<(), &'static str> {
        let expected = "expected \\# LENGTH HEX";
        self.next(expected)?;
        let length: usize = self.parse(expected)?;
        // There may be none of them.
        if !self.words.is_empty() {
            self.digits(&HEX, expected)?;
        }
        if self.bytes.len() == length {
            Ok(())
        } else {
            Err("the data is not as long as it says")
        }
    }
}

/// A name, relative unless it ends in a dot; `@` is what it would be relative to.
pub(crate) fn name(text: &str, origin: &Name) -> Option<Name> {
    if text == "@" {
        Some(*origin)
    } else if text.ends_with('.') && !text.ends_with("\\.") {
        text.parse().ok()
    } else {
        Name::relative(text, origin).ok()
    }
}

/// Seconds, or numbers each with a unit: `1h30m`.
pub(crate) fn span(text: &str) -> Option<u32> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let mut total = 0u32;
    let mut number = None;
    for character in text.chars() {
        if let Some(digit) = character.to_digit(10) {
            number = Some(number.unwrap_or(0u32).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit: u32 = match character.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    // Nothing may be left without a unit.
    (number.is_none() && !text.is_empty()).then_some(total)
}

/// Seconds since 1970 modulo 2^32, or `YYYYMMDDhhmmss` (RFC 4034, section 3.2).
fn moment(text: &str) -> Option<u32> {
    if text.len() != 14 {
        return text.parse().ok();
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970, in years that begin with March: leap days are then their last.
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year - 1, month + 9),
    };
    let leap = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap + (month * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(8, 10)? * 3600 + number(10, 12)? * 60 + number(12, 14)?;
    u32::try_from(seconds & u64::from(u32::MAX)).ok()
}

/// Adds the bytes of a text with escapes.
fn unescape(text: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let expected = "a backslash must be followed by a character or three digits up to 255";
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'\\' {
            out.push(first);
            continue;
        }
        let &next = rest.first().ok_or(expected)?;
        if next.is_ascii_digit() {
            let digits = rest.first_chunk::<3>().ok_or(expected)?;
            let digits = core::str::from_utf8(digits).map_err(|_| expected)?;
            out.push(digits.parse().map_err(|_| expected)?);
            rest = &rest[3..];
        } else {
            out.push(next);
            rest = &rest[1..];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind_name: &str, text: &str) -> Result<Vec<u8>, &'static str> {
        let entries = crate::text::entries(text).expect("words");
        let origin = "example.test".parse().expect("a name");
        let kind = kind(kind_name).expect("a kind");
        read(kind, &entries[0].words, &origin)
    }

    #[test]
    fn data_travels_as_the_rfcs_draw_it() {
        for (kind, text, bytes) in [
            ("A", "192.0.2.1", &b"\xc0\x00\x02\x01"[..]),
            (
                "AAAA",
                "2001:db8::1",
                b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
            ),
            ("ns", "a", b"\x01a\x07example\x04test\0"),
            ("CNAME", "@", b"\x07example\x04test\0"),
            ("MX", "10 a.", b"\0\x0a\x01a\0"),
            ("SRV", "1 2 53 .", b"\0\x01\0\x02\0\x35\0"),
            (
                "TXT",
                "ab \"c d\" \"\\\"\\200\"",
                b"\x02ab\x03c d\x02\"\xc8",
            ),
            ("CAA", "128 issue \"x\"", b"\x80\x05issuex"),
            (
                "SOA",
                "a. b. 7 1h 2m 3 1w",
                b"\x01a\0\x01b\0\0\0\0\x07\0\0\x0e\x10\0\0\0\x78\0\0\0\x03\0\x09\x3a\x80",
            ),
            ("TYPE999", "\\# 3 0a 0bFF", b"\x0a\x0b\xff"),
            ("A", "\\# 4 C0000201", b"\xc0\x00\x02\x01"),
            ("TYPE999", "\\# 0", b""),
            ("DS", "258 13 2 0a 0B", b"\x01\x02\x0d\x02\x0a\x0b"),
            ("DNSKEY", "257 3 13 Zm9v YmE=", b"\x01\x01\x03\x0dfooba"),
            // 2000-03-01 00:00:00, and 2106-02-07 06:28:16, at which 32 bits begin anew.
            (
                "RRSIG",
                "AAAA 8 3 1h 20000301000000 21060207062816 1 z. Zg==",
                b"\0\x1c\x08\x03\0\0\x0e\x10\x38\xbc\x5d\x80\0\0\0\0\0\x01\x01z\0f",
            ),
            // RFC 4034, section 4.3.
            (
                "NSEC",
                "host.z. A MX RRSIG NSEC TYPE1234",
                b"\x04host\x01z\0\0\x06\x40\x01\0\0\0\x03\
                  \x04\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20",
            ),
            (
                "NSEC3",
                "1 1 12 aabb CPNMUOG NS",
                b"\x01\x01\0\x0c\x02\xaa\xbb\x04foob\0\x01\x20",
            ),
            ("NSEC3PARAM", "1 0 0 -", b"\x01\0\0\0\0"),
            ("TLSA", "3 1 1 ff", b"\x03\x01\x01\xff"),
        ] {
            assert_eq!(data(kind, text).as_deref(), Ok(bytes), "{kind} {text}");
        }
    }

    #[test]
    fn what_is_wrong_with_data_is_named() {
        let long = "x".repeat(256);
        for (kind, text, words) in [
            ("A", "192.0.2.256", "expected an IPv4 address"),
            (
                "A",
                "192.0.2.1 x",
                "there is more than the record has fields",
            ),
            ("MX", "10", "expected a name"),
            ("MX", "70000 a", "expected a number up to 65535"),
            ("NS", "a..b", "expected a name"),
            ("TXT", long.as_str(), "a text is longer than 255 bytes"),
            (
                "TXT",
                "\"\\25\"",
                "a backslash must be followed by a character or three digits up to 255",
            ),
            ("TYPE999", "\\# 2 0a", "the data is not as long as it says"),
            ("TYPE999", "\\# 1 0", "expected \\# LENGTH HEX"),
            ("DS", "1 13 2", "expected hexadecimal digits"),
            ("DS", "1 13 2 0", "expected hexadecimal digits"),
            ("DNSKEY", "1 3 13 *", "expected digits of base 64"),
            (
                "RRSIG",
                "A 8 3 1 20001301000000 1 1 z. Zg==",
                "expected a moment as YYYYMMDDhhmmss",
            ),
            ("NSEC", "a. NONE", "there is no such kind of record"),
            (
                "NSEC3PARAM",
                "1 0 0 x",
                "expected salt in hexadecimal digits, or -",
            ),
            (
                "SOA",
                "a b 1 2 3 4 5x",
                "expected a time such as 3600 or 1h",
            ),
        ] {
            assert_eq!(data(kind, text), Err(words), "{kind} {text}");
        }
        assert_eq!(kind("NONE"), None);
        assert_eq!(span("1h30m"), Some(5400));
        assert_eq!(span("1h30"), None);
        assert_eq!(span("9999999w"), None);
    }
}
