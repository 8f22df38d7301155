//! Domain names as they travel (RFC 1035, section 3.1), in lower case.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

/// Longest name in bytes, with the root's.
const NAME_LIMIT: usize = 255;

/// Longest label in bytes.
const LABEL_LIMIT: usize = 63;

/// Pointers that are followed in one name. Each leads further to the front, so this many are enough
/// for every honest name, and a loop ends.
const POINTER_LIMIT: usize = 16;

/// A text that is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// A label is empty.
    EmptyLabel,
    /// A label is longer than 63 bytes.
    LongLabel,
    /// The name is longer than 255 bytes.
    LongName,
    /// A backslash is followed by nothing, or by a number that is no byte.
    Escape,
}

impl fmt::Display for NameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::EmptyLabel => "a part of the name is empty",
            Self::LongLabel => "a part of the name is longer than 63 bytes",
            Self::LongName => "the name is longer than 255 bytes",
            Self::Escape => "a backslash must be followed by a character or three digits up to 255",
        })
    }
}

impl core::error::Error for NameError {}

/// A whole domain name: labels, each behind its length, and the root. Letters are lower case, so
/// equal names are equal bytes.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; NAME_LIMIT],
    length: u8,
}

impl Name {
    /// The root.
    pub const ROOT: Self = Self {
        bytes: [0; NAME_LIMIT],
        length: 1,
    };

    /// Its bytes as they travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Reads a name that begins at `at` in a message, following pointers; where the name ends in
    /// the message. `None` where there is no name.
    #[must_use]
    pub fn read(message: &[u8], at: usize) -> Option<(Self, usize)> {
        let mut name = Builder::new();
        let mut at = at;
        let mut end = None;
        let mut pointers = 0;
        loop {
            let length = *message.get(at)?;
            match length {
                0 => {
                    let name = name.finish().ok()?;
                    return Some((name, end.unwrap_or(at + 1)));
                }
                1..=63 => {
                    let label = message.get(at + 1..at + 1 + usize::from(length))?;
                    name.label(label).ok()?;
                    at += 1 + label.len();
                }
                0xc0.. => {
                    let target =
                        usize::from(u16::from_be_bytes([length & 0x3f, *message.get(at + 1)?]));
                    end.get_or_insert(at + 2);
                    pointers += 1;
                    if target >= at || pointers > POINTER_LIMIT {
                        return None;
                    }
                    at = target;
                }
                _ => return None,
            }
        }
    }

    /// Its labels, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        core::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            if *length == 0 {
                return None;
            }
            let (label, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some(label)
        })
    }

    /// The name without its first label; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(self.bytes[0]);
        if first == 0 {
            return None;
        }
        let rest = &self.as_bytes()[1 + first..];
        let mut bytes = [0; NAME_LIMIT];
        bytes[..rest.len()].copy_from_slice(rest);
        let length = u8::try_from(rest.len()).ok()?;
        Some(Self { bytes, length })
    }

    /// The name with another label before it.
    ///
    /// # Errors
    /// When it grows too long.
    pub fn child(&self, label: &[u8]) -> Result<Self, NameError> {
        let mut name = Builder::new();
        name.label(label)?;
        for label in self.labels() {
            name.label(label)?;
        }
        name.finish()
    }

    /// Whether it is `zone` or lies below it.
    #[must_use]
    pub fn is_within(&self, zone: &Self) -> bool {
        let (name, zone) = (self.as_bytes(), zone.as_bytes());
        let Some(start) = name.len().checked_sub(zone.len()) else {
            return false;
        };
        if name[start..] != *zone {
            return false;
        }
        // The tail must begin where a label does.
        let mut at = 0;
        while at < start {
            at += 1 + usize::from(name[at]);
        }
        at == start
    }

    /// Joins `text`, which does not end in a dot, with the name it is relative to.
    ///
    /// # Errors
    /// When it is no name.
    pub fn relative(text: &str, origin: &Self) -> Result<Self, NameError> {
        let mut name = Builder::new();
        name.text(text.as_bytes())?;
        for label in origin.labels() {
            name.label(label)?;
        }
        name.finish()
    }
}

/// Reads an absolute name; the dot at its end may be left out.
impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::ROOT);
        }
        let text = match text.strip_suffix('.') {
            Some(rest) if !rest.ends_with('\\') => rest,
            _ => text,
        };
        Self::relative(text, &Self::ROOT)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == 1 {
            return out.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'\\' => write!(out, "\\{}", char::from(byte))?,
                    b'!'..=b'~' => write!(out, "{}", char::from(byte))?,
                    _ => write!(out, "\\{byte:03}")?,
                }
            }
            out.write_str(".")?;
        }
        Ok(())
    }
}

struct Builder {
    bytes: [u8; NAME_LIMIT],
    length: usize,
}

impl Builder {
    fn new() -> Self {
        Self {
            bytes: [0; NAME_LIMIT],
            length: 0,
        }
    }

    fn label(&mut self, label: &[u8]) -> Result<(), NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        let length = u8::try_from(label.len()).map_err(|_| NameError::LongLabel)?;
        if label.len() > LABEL_LIMIT {
            return Err(NameError::LongLabel);
        }
        // One byte stays for the root.
        let end = self.length + 1 + label.len();
        if end >= NAME_LIMIT {
            return Err(NameError::LongName);
        }
        self.bytes[self.length] = length;
        self.bytes[self.length + 1..end].copy_from_slice(label);
        self.bytes[self.length + 1..end].make_ascii_lowercase();
        self.length = end;
        Ok(())
    }

    /// Labels with dots between them and escapes in them (RFC 1035, section 5.1).
    fn text(&mut self, text: &[u8]) -> Result<(), NameError> {
        let mut label = [0; LABEL_LIMIT + 1];
        let mut length = 0;
        let mut rest = text.iter().copied();
        loop {
            let byte = match rest.next() {
                None => return self.label(&label[..length]),
                Some(b'.') => {
                    self.label(&label[..length])?;
                    length = 0;
                    continue;
                }
                Some(b'\\') => {
                    let first = rest.next().ok_or(NameError::Escape)?;
                    if first.is_ascii_digit() {
                        let mut digit = || {
                            rest.next()
                                .filter(u8::is_ascii_digit)
                                .map(|digit| u32::from(digit - b'0'))
                                .ok_or(NameError::Escape)
                        };
                        let value = u32::from(first - b'0') * 100 + digit()? * 10 + digit()?;
                        u8::try_from(value).map_err(|_| NameError::Escape)?
                    } else {
                        first
                    }
                }
                Some(byte) => byte,
            };
            *label.get_mut(length).ok_or(NameError::LongLabel)? = byte;
            length += 1;
        }
    }

    fn finish(self) -> Result<Name, NameError> {
        let length = u8::try_from(self.length + 1).map_err(|_| NameError::LongName)?;
        Ok(Name {
            bytes: self.bytes,
            length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    #[test]
    fn names_are_read_and_written_as_rfc_1035_draws_them() {
        let name: Name = "F.ISI.arpa".parse().expect("a name");
        assert_eq!(name.as_bytes(), b"\x01f\x03isi\x04arpa\x00");
        assert_eq!(name.to_string(), "f.isi.arpa.");
        assert_eq!("f.isi.arpa.".parse(), Ok(name));
        assert_eq!(".".parse(), Ok(Name::ROOT));
        assert_eq!(Name::ROOT.to_string(), ".");
    }

    #[test]
    fn pointers_are_followed_to_the_front_only() {
        // RFC 1035, section 4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64.
        let mut message = [0; 70];
        message[20..32].copy_from_slice(b"\x01F\x03ISI\x04ARPA\x00");
        message[40..46].copy_from_slice(b"\x03FOO\xc0\x14");
        message[64..66].copy_from_slice(b"\xc0\x1a");
        let read = |at| Name::read(&message, at).map(|(name, end)| (name.to_string(), end));
        assert_eq!(read(20), Some(("f.isi.arpa.".into(), 32)));
        assert_eq!(read(40), Some(("foo.f.isi.arpa.".into(), 46)));
        assert_eq!(read(64), Some(("arpa.".into(), 66)));
        // To itself, and forward.
        for bytes in [b"\xc0\x00", b"\xc0\x02"] {
            assert_eq!(Name::read(bytes, 0).map(|(_, end)| end), None);
        }
    }

    #[test]
    fn what_is_no_name_is_named() {
        let long = "a".repeat(64);
        let whole = ["a".repeat(63).as_str(); 4].join(".");
        for (text, error) in [
            ("", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            (long.as_str(), NameError::LongLabel),
            (whole.as_str(), NameError::LongName),
            ("a\\", NameError::Escape),
            ("a\\256", NameError::Escape),
            ("a\\12", NameError::Escape),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
    }

    #[test]
    fn escapes_say_what_dots_and_bytes_cannot() {
        let name: Name = "a\\.b\\200.c".parse().expect("a name");
        assert_eq!(name.as_bytes(), b"\x04a.b\xc8\x01c\x00");
        assert_eq!(name.to_string(), "a\\.b\\200.c.");
    }

    #[test]
    fn a_name_lies_within_a_zone_label_by_label() {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let zone = name("example.com");
        for (inside, expected) in [
            ("example.com", true),
            ("www.example.com", true),
            ("badexample.com", false),
            ("com", false),
            ("example.com.evil", false),
        ] {
            assert_eq!(name(inside).is_within(&zone), expected, "{inside}");
        }
        assert!(name("com").is_within(&Name::ROOT));
        assert_eq!(name("www.example.com").parent(), Some(zone));
        assert_eq!(Name::ROOT.parent(), None);
        assert_eq!(zone.child(b"WWW"), Ok(name("www.example.com")));
    }

    proptest! {
        #[test]
        fn no_message_is_read_beyond_its_end(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..300usize) {
            if let Some((name, end)) = Name::read(&bytes, at) {
                prop_assert!(end <= bytes.len());
                prop_assert_eq!(name.to_string().parse(), Ok(name));
            }
        }
    }
}
