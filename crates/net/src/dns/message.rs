//! Messages (RFC 1035, section 4).

use alloc::vec::Vec;

use super::Name;

/// The class of everything there is: the Internet.
pub const CLASS_IN: u16 = 1;

/// Kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(pub u16);

impl Kind {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A zone's name server.
    pub const NS: Self = Self(2);
    /// Another name for the same.
    pub const CNAME: Self = Self(5);
    /// What a zone begins with.
    pub const SOA: Self = Self(6);
    /// A name for an address.
    pub const PTR: Self = Self(12);
    /// Who takes mail.
    pub const MX: Self = Self(15);
    /// Text.
    pub const TXT: Self = Self(16);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
    /// Where a service is.
    pub const SRV: Self = Self(33);
    /// What a message says beside its header (RFC 6891).
    pub const OPT: Self = Self(41);
    /// Asks for everything.
    pub const ANY: Self = Self(255);
    /// Asks for a whole zone.
    pub const AXFR: Self = Self(252);
}

/// Bits of [`Header::flags`].
pub mod flags {
    /// It is an answer.
    pub const RESPONSE: u16 = 1 << 15;
    /// The answer comes from who is responsible.
    pub const AUTHORITATIVE: u16 = 1 << 10;
    /// There was no room for everything: ask again over TCP.
    pub const TRUNCATED: u16 = 1 << 9;
    /// Please ask others too.
    pub const RECURSION_DESIRED: u16 = 1 << 8;
    /// What is asked: zero for a question. Four bits.
    pub const OPCODE: u16 = 0xf << 11;
}

/// Codes in the last four bits of an answer's flags.
pub mod response {
    /// The question is not understood.
    pub const FORMAT_ERROR: u16 = 1;
    /// The server failed.
    pub const SERVER_FAILURE: u16 = 2;
    /// There is no such name.
    pub const NO_SUCH_NAME: u16 = 3;
    /// The server does not do that.
    pub const NOT_IMPLEMENTED: u16 = 4;
    /// The server does not answer that.
    pub const REFUSED: u16 = 5;
}

/// What a message begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Chosen by who asks; the answer has the same.
    pub id: u16,
    /// [`flags`] and the [`response`] code.
    pub flags: u16,
    /// How many questions, answers, authorities and additional records follow.
    pub counts: [u16; 4],
}

impl Header {
    /// Its size in bytes.
    pub const SIZE: usize = 12;

    /// As it travels.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let words = [self.id, self.flags].into_iter().chain(self.counts);
        for (pair, word) in bytes.chunks_exact_mut(2).zip(words) {
            pair.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// The code of an answer.
    #[must_use]
    pub const fn response(&self) -> u16 {
        self.flags & 15
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// About which name.
    pub name: Name,
    /// For which records.
    pub kind: Kind,
    /// Of which class.
    pub class: u16,
}

impl Question {
    /// Adds it to a message.
    pub fn write(&self, message: &mut Vec<u8>) {
        message.extend_from_slice(self.name.as_bytes());
        message.extend_from_slice(&self.kind.0.to_be_bytes());
        message.extend_from_slice(&self.class.to_be_bytes());
    }
}

/// A record of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Whose it is.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// Its class.
    pub class: u16,
    /// For how many seconds it may be kept.
    pub lifetime: u32,
    /// What it says.
    pub data: &'a [u8],
    /// Where that begins in the message: names in it may point to the front.
    pub data_at: usize,
}

/// Reads a message front to back. What is not there is `None`.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Begins a message: its header, and what reads the rest.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Option<(Header, Self)> {
        let mut reader = Self { message, at: 0 };
        let header = Header {
            id: reader.number()?,
            flags: reader.number()?,
            counts: [
                reader.number()?,
                reader.number()?,
                reader.number()?,
                reader.number()?,
            ],
        };
        Some((header, reader))
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let bytes = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn name(&mut self) -> Option<Name> {
        let (name, end) = Name::read(self.message, self.at)?;
        self.at = end;
        Some(name)
    }

    /// The next question.
    pub fn question(&mut self) -> Option<Question> {
        Some(Question {
            name: self.name()?,
            kind: Kind(self.number()?),
            class: self.number()?,
        })
    }

    /// The next record.
    pub fn record(&mut self) -> Option<Record<'a>> {
        let name = self.name()?;
        let kind = Kind(self.number()?);
        let class = self.number()?;
        let lifetime = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let length = usize::from(self.number()?);
        let data_at = self.at;
        let data = self.take(length)?;
        Some(Record {
            name,
            kind,
            class,
            lifetime,
            data,
            data_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_as_dig_shows_it_is_read() {
        // An answer for example.com A: 93.184.216.34, the name by pointer.
        let mut message = Vec::from(*b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00");
        message.extend(b"\x07example\x03com\x00\x00\x01\x00\x01");
        message.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x01\x51\x80\x00\x04\x5d\xb8\xd8\x22");
        let (header, mut reader) = Reader::new(&message).expect("a header");
        assert_eq!(
            (header.id, header.counts, header.response()),
            (0x1234, [1, 1, 0, 0], 0)
        );
        assert_eq!(header.to_bytes(), message[..12]);
        let question = reader.question().expect("a question");
        assert_eq!(Ok(question.name), "example.com".parse());
        let record = reader.record().expect("a record");
        assert_eq!(
            (record.name, record.kind, record.lifetime, record.data),
            (question.name, Kind::A, 86400, &[93, 184, 216, 34][..])
        );
        assert_eq!(reader.record(), None);
    }

    proptest! {
        #[test]
        fn no_message_is_read_beyond_its_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some((_, mut reader)) = Reader::new(&bytes) {
                let _ = reader.question();
                while reader.record().is_some() {}
                prop_assert!(reader.position() <= bytes.len());
            }
        }
    }
}
