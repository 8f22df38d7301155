//! Writes an answer, no longer than it may be.

use alloc::vec::Vec;

use sprat::net::dns::{CLASS_IN, Header, Kind, Name};

use crate::kinds::RRSIG;
use crate::zone::Set;

/// Bytes of an OPT record without options.
const OPT_SIZE: usize = 11;

/// A pointer to the name of the question, which follows the header.
const POINTER: u16 = 0xc000 | 12;

/// Where in a message a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Answer = 1,
    Authority = 2,
    Additional = 3,
}

/// What an answer says about this server (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    /// The upper bits of the response code.
    pub(crate) code: u8,
    /// Whether who asked understands signatures, which is said back.
    pub(crate) signatures: bool,
}

/// Longest datagram that this server sends and takes: what no path cuts to pieces.
pub(crate) const DATAGRAM: u16 = 1232;

/// An answer that is being written.
pub(crate) struct Message<'a> {
    bytes: &'a mut Vec<u8>,
    header: Header,
    asked: Option<Name>,
    limit: usize,
    extension: Option<Extension>,
}

impl<'a> Message<'a> {
    /// Begins an answer of at most `limit` bytes in place of what is in `bytes`.
    pub(crate) fn new(
        bytes: &'a mut Vec<u8>,
        header: Header,
        limit: usize,
        extension: Option<Extension>,
    ) -> Self {
        bytes.clear();
        bytes.resize(Header::SIZE, 0);
        Self {
            bytes,
            header,
            asked: None,
            limit: limit - extension.map_or(0, |_| OPT_SIZE),
            extension,
        }
    }

    pub(crate) fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    /// Whether who asked understands signatures.
    pub(crate) fn takes_signatures(&self) -> bool {
        self.extension.is_some_and(|extension| extension.signatures)
    }

    /// Repeats the question, of this name, as it was written: who asks may know the answer to be its
    /// own by which letters are capitals. Names that end like its name are written shorter from then
    /// on.
    pub(crate) fn question(&mut self, name: Name, written: &[u8]) {
        self.bytes.extend_from_slice(written);
        self.header.counts[0] = 1;
        self.asked = Some(name);
    }

    /// Adds all records of a set, and those of its owner's `sets` that sign it where they are
    /// understood, or none of them where there is no room; whether there was.
    pub(crate) fn set(
        &mut self,
        section: Section,
        owner: &Name,
        set: &Set,
        sets: &[Set],
        lifetime: u32,
    ) -> bool {
        let start = self.bytes.len();
        let mut count = 0u16;
        let signed = self.takes_signatures();
        let own = set.data.iter().map(|data| (set.kind, data));
        let signatures = sets
            .iter()
            .filter(|of| of.kind == RRSIG && signed)
            .flat_map(|of| &of.data)
            .filter(|data| data.starts_with(&set.kind.0.to_be_bytes()))
            .map(|data| (RRSIG, data));
        // A signature lives as long as what it signs (RFC 4034, section 3), also where several that
        // sign different sets are asked for.
        let lives = |data: &Vec<u8>| {
            let signed =
                |of: &&Set| set.kind == RRSIG && data.starts_with(&of.kind.0.to_be_bytes());
            sets.iter().find(signed).map_or(lifetime, |of| of.lifetime)
        };
        for (kind, data) in own.chain(signatures) {
            self.name(owner);
            for number in [kind.0, CLASS_IN] {
                self.bytes.extend(number.to_be_bytes());
            }
            self.bytes.extend(lives(data).to_be_bytes());
            // The zone has no longer ones.
            let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
            self.bytes.extend(length.to_be_bytes());
            self.bytes.extend_from_slice(data);
            count = count.saturating_add(1);
            if self.bytes.len() > self.limit {
                self.bytes.truncate(start);
                return false;
            }
        }
        let total = &mut self.header.counts[section as usize];
        *total = total.saturating_add(count);
        true
    }

    /// Takes back every record.
    pub(crate) fn clear_records(&mut self) {
        let question = self.asked.map_or(0, |name| name.as_bytes().len() + 4);
        self.bytes.truncate(Header::SIZE + question);
        self.header.counts[1..].fill(0);
    }

    /// A name, the part of it that the question's name ends with as a pointer there.
    fn name(&mut self, name: &Name) {
        let bytes = name.as_bytes();
        let asked = self.asked.as_ref().map_or(&[][..], Name::as_bytes);
        let common = common_end(bytes, asked);
        // The root alone is shorter than a pointer to it.
        if common <= 1 {
            self.bytes.extend_from_slice(bytes);
            return;
        }
        self.bytes.extend_from_slice(&bytes[..bytes.len() - common]);
        // A name is shorter than 256 bytes.
        let at = u16::try_from(asked.len() - common).unwrap_or(0);
        self.bytes.extend((POINTER + at).to_be_bytes());
    }

    /// Puts the header, and what is said about this server, where they belong.
    pub(crate) fn finish(mut self) {
        if let Some(extension) = self.extension {
            self.bytes.push(0);
            for number in [Kind::OPT.0, DATAGRAM] {
                self.bytes.extend(number.to_be_bytes());
            }
            let signatures = u8::from(extension.signatures) << 7;
            self.bytes.extend([extension.code, 0, signatures, 0, 0, 0]);
            self.header.counts[3] = self.header.counts[3].saturating_add(1);
        }
        self.bytes[..Header::SIZE].copy_from_slice(&self.header.to_bytes());
    }
}

/// How many bytes two names end with together, in whole labels.
fn common_end(one: &[u8], other: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = one.get(at..).filter(|rest| !rest.is_empty()) {
        if other.ends_with(rest) && begins_label(other, other.len() - rest.len()) {
            return rest.len();
        }
        at += 1 + usize::from(rest[0]);
    }
    0
}

/// Whether a label of the name begins there.
fn begins_label(name: &[u8], place: usize) -> bool {
    let mut at = 0;
    while at < place {
        at += 1 + usize::from(name[at]);
    }
    at == place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_share_whole_labels_only() {
        let common = |one: &str, other: &str| {
            let wire = |text: &str| text.parse::<Name>().expect("a name").as_bytes().to_vec();
            common_end(&wire(one), &wire(other))
        };
        // `\x01z\x00`
        assert_eq!(common("a.z", "b.z"), 3);
        assert_eq!(common("a.z", "a.z"), 5);
        assert_eq!(common("a.z", "b.a.z"), 5);
        assert_eq!(common("a.z", "b.y"), 1);
        // The bytes `\x01b\x00` stand inside a label here.
        assert_eq!(common("b", "a\\001b"), 1);
    }
}
