//! What records say, from text to the bytes that travel.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use sprat::net::dns::{Kind, Name};

use crate::text::Word;

/// Kinds by the names that master files call them.
const KINDS: [(&str, Kind); 10] = [
    ("A", Kind::A),
    ("NS", Kind::NS),
    ("CNAME", Kind::CNAME),
    ("SOA", Kind::SOA),
    ("PTR", Kind::PTR),
    ("MX", Kind::MX),
    ("TXT", Kind::TXT),
    ("AAAA", Kind::AAAA),
    ("SRV", Kind::SRV),
    ("CAA", CAA),
];

/// Who may issue certificates (RFC 8659).
const CAA: Kind = Kind(257);

/// The kind of that name; `TYPE123` is one without a name (RFC 3597).
pub(crate) fn kind(word: &str) -> Option<Kind> {
    let known = KINDS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word));
    known.map(|(_, kind)| *kind).or_else(|| {
        let (prefix, number) = word.split_at_checked(4)?;
        let number = number.parse().ok().map(Kind);
        number.filter(|_| prefix.eq_ignore_ascii_case("TYPE"))
    })
}

/// The bytes of a record's data.
pub(crate) fn read(kind: Kind, words: &[Word<'_>], origin: &Name) -> Result<Vec<u8>, &'static str> {
    let mut fields = Fields {
        words,
        origin,
        data: Vec::new(),
    };
    if fields.words.first().is_some_and(|word| word.text == "\\#") {
        fields.generic()?;
    } else {
        match kind {
            Kind::A => {
                let address: Ipv4Addr = fields.parse("expected an IPv4 address")?;
                fields.data.extend(address.octets());
            }
            Kind::AAAA => {
                let address: Ipv6Addr = fields.parse("expected an IPv6 address")?;
                fields.data.extend(address.octets());
            }
            Kind::NS | Kind::CNAME | Kind::PTR => fields.name()?,
            Kind::MX => {
                fields.number()?;
                fields.name()?;
            }
            Kind::SRV => {
                (0..3).try_for_each(|_| fields.number())?;
                fields.name()?;
            }
            Kind::SOA => {
                fields.name()?;
                fields.name()?;
                let serial: u32 = fields.parse("expected a serial number")?;
                fields.data.extend(serial.to_be_bytes());
                (0..4).try_for_each(|_| fields.span())?;
            }
            Kind::TXT => {
                fields.string()?;
                while !fields.words.is_empty() {
                    fields.string()?;
                }
            }
            CAA => {
                let flags: u8 = fields.parse("expected a number up to 255")?;
                fields.data.push(flags);
                fields.string()?;
                let value = fields.next("expected a value")?;
                unescape(value, &mut fields.data)?;
            }
            _ => return Err("expected \\# LENGTH HEX, as the kind has no form of its own"),
        }
    }
    if !fields.words.is_empty() {
        return Err("there is more than the record has fields");
    }
    if u16::try_from(fields.data.len()).is_err() {
        return Err("the record is longer than 65535 bytes");
    }
    Ok(fields.data)
}

struct Fields<'a> {
    words: &'a [Word<'a>],
    origin: &'a Name,
    data: Vec<u8>,
}

impl<'a> Fields<'a> {
    fn next(&mut self, expected: &'static str) -> Result<&'a str, &'static str> {
        let (first, rest) = self.words.split_first().ok_or(expected)?;
        self.words = rest;
        Ok(first.text)
    }

    fn parse<T: core::str::FromStr>(&mut self, expected: &'static str) -> Result<T, &'static str> {
        self.next(expected)?.parse().map_err(|_| expected)
    }

    fn number(&mut self) -> Result<(), &'static str> {
        let number: u16 = self.parse("expected a number up to 65535")?;
        self.data.extend(number.to_be_bytes());
        Ok(())
    }

    fn span(&mut self) -> Result<(), &'static str> {
        let expected = "expected a time such as 3600 or 1h";
        let seconds = span(self.next(expected)?).ok_or(expected)?;
        self.data.extend(seconds.to_be_bytes());
        Ok(())
    }

    fn name(&mut self) -> Result<(), &'static str> {
        let text = self.next("expected a name")?;
        let name = name(text, self.origin).ok_or("expected a name")?;
        self.data.extend_from_slice(name.as_bytes());
        Ok(())
    }

    /// Bytes behind their length.
    fn string(&mut self) -> Result<(), &'static str> {
        let text = self.next("expected a text")?;
        let at = self.data.len();
        self.data.push(0);
        unescape(text, &mut self.data)?;
        let length = self.data.len() - at - 1;
        self.data[at] = u8::try_from(length).map_err(|_| "a text is longer than 255 bytes")?;
        Ok(())
    }

    /// `\# LENGTH HEX` (RFC 3597, section 5).
    fn generic(&mut self) -> Result<(), &'static str> {
        let expected = "expected \\# LENGTH HEX";
        self.next(expected)?;
        let length: usize = self.parse(expected)?;
        while let Some((word, rest)) = self.words.split_first() {
            for pair in word.text.as_bytes().chunks(2) {
                let [high, low] = *pair else {
                    return Err(expected);
                };
                let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(expected);
                let byte = digit(high)? * 16 + digit(low)?;
                self.data.push(u8::try_from(byte).map_err(|_| expected)?);
            }
            self.words = rest;
        }
        if self.data.len() == length {
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
