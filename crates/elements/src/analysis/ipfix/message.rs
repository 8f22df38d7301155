//! IPFIX messages (RFC 7011) that hold records of IPv4 flows, and the template that describes them.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

/// Why a record was made: the values of flowEndReason (RFC 5102, section 5.11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EndReason {
    Idle = 1,
    Active = 2,
    Ended = 3,
    Forced = 4,
    NoRoom = 5,
}

/// What is told about a flow: packets one way between the same addresses and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) ports: [u16; 2],
    pub(super) protocol: u8,
    pub(super) type_of_service: u8,
    /// All TCP flags that occurred.
    pub(super) flags: u8,
    pub(super) packets: u64,
    /// Of IP packets, headers included.
    pub(super) bytes: u64,
    /// Of the first packet and of the last, in milliseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) reason: EndReason,
}

/// Information elements of the template, in the order of [`Record::write`], and their lengths (IANA's
/// registry "IPFIX Information Elements").
const ELEMENTS: [(u16, u16); 12] = [
    (8, 4),   // sourceIPv4Address
    (12, 4),  // destinationIPv4Address
    (7, 2),   // sourceTransportPort
    (11, 2),  // destinationTransportPort
    (4, 1),   // protocolIdentifier
    (5, 1),   // ipClassOfService
    (6, 2),   // tcpControlBits
    (2, 8),   // packetDeltaCount
    (1, 8),   // octetDeltaCount
    (152, 8), // flowStartMilliseconds
    (153, 8), // flowEndMilliseconds
    (136, 1), // flowEndReason
];

/// Bytes of a record: the sum of the lengths above.
const RECORD: usize = 49;

const VERSION: u16 = 10;
const HEADER: usize = 16;
const TEMPLATE_SET: u16 = 2;
/// The number of our template, the first that may be (RFC 7011, section 3.4.1).
const TEMPLATE: u16 = 256;

/// The longest message; with headers it fits where Ethernet frames do.
const LONGEST: usize = 1400;

/// A message being written. Each begins with the template, so that a lost one costs nothing more.
pub(super) struct Message {
    bytes: Vec<u8>,
    /// Where the set of records begins.
    set: usize,
    records: u32,
}

impl Message {
    pub(super) fn new() -> Self {
        let mut message = Self {
            bytes: Vec::with_capacity(LONGEST),
            set: 0,
            records: 0,
        };
        message.clear();
        message
    }

    /// Begins again.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEADER, 0);
        self.records = 0;
        let length = 8 + 4 * ELEMENTS.len();
        for half in [TEMPLATE_SET, half(length), TEMPLATE, half(ELEMENTS.len())] {
            self.bytes.extend(half.to_be_bytes());
        }
        for (element, length) in ELEMENTS {
            self.bytes.extend(element.to_be_bytes());
            self.bytes.extend(length.to_be_bytes());
        }
        self.set = self.bytes.len();
        self.bytes.extend(TEMPLATE.to_be_bytes());
        self.bytes.extend([0; 2]);
    }

    /// Whether there is no room for another record.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() + RECORD > LONGEST
    }

    /// The records that it holds.
    pub(super) fn records(&self) -> u32 {
        self.records
    }

    pub(super) fn add(&mut self, record: &Record) {
        record.write(&mut self.bytes);
        self.records += 1;
    }

    /// The whole message: sent at a time in seconds since 1970, after so many records of the same
    /// domain.
    pub(super) fn finish(&mut self, time: u32, sequence: u32, domain: u32) -> &[u8] {
        let (length, set) = (self.bytes.len(), self.bytes.len() - self.set);
        let set = half(set).to_be_bytes();
        self.bytes[self.set + 2..self.set + 4].copy_from_slice(&set);
        self.bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
        self.bytes[2..4].copy_from_slice(&half(length).to_be_bytes());
        for (word, at) in [time, sequence, domain].into_iter().zip([4, 8, 12]) {
            self.bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
        }
        &self.bytes
    }
}

/// A number that is no longer than a message.
fn half(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

impl Record {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        for port in self.ports {
            bytes.extend(port.to_be_bytes());
        }
        bytes.extend([self.protocol, self.type_of_service, 0, self.flags]);
        for double in [self.packets, self.bytes, self.start, self.end] {
            bytes.extend(double.to_be_bytes());
        }
        bytes.push(self.reason as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD_OF_FLOW: Record = Record {
        source: Ipv4Addr::new(1, 2, 3, 4),
        destination: Ipv4Addr::new(5, 6, 7, 8),
        ports: [0x1234, 80],
        protocol: 6,
        type_of_service: 0xb8,
        flags: 0x1b,
        packets: 3,
        bytes: 0x0102,
        start: 0x0001_0203_0405_0607,
        end: 0x0001_0203_0405_0608,
        reason: EndReason::Ended,
    };

    #[test]
    fn a_message_is_header_template_and_records() {
        let mut message = Message::new();
        message.add(&RECORD_OF_FLOW);
        // By hand after RFC 7011, figures F to N.
        let mut expected = Vec::new();
        expected.extend([0, 10, 0, 125, 0x65, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 9]);
        expected.extend([0, 2, 0, 56, 1, 0, 0, 12]);
        expected.extend([0, 8, 0, 4, 0, 12, 0, 4, 0, 7, 0, 2, 0, 11, 0, 2]);
        expected.extend([0, 4, 0, 1, 0, 5, 0, 1, 0, 6, 0, 2, 0, 2, 0, 8]);
        expected.extend([0, 1, 0, 8, 0, 152, 0, 8, 0, 153, 0, 8, 0, 136, 0, 1]);
        expected.extend([1, 0, 0, 53]);
        expected.extend([1, 2, 3, 4, 5, 6, 7, 8, 0x12, 0x34, 0, 80, 6, 0xb8, 0, 0x1b]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 2]);
        expected.extend([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 8, 3]);
        assert_eq!(message.finish(0x6500_0001, 7, 9), expected);
    }

    #[test]
    fn the_template_describes_records_of_their_length() {
        let length: u16 = ELEMENTS.iter().map(|(_, length)| length).sum();
        assert_eq!(usize::from(length), RECORD);
    }

    #[test]
    fn messages_are_full_before_they_are_too_long() {
        let mut message = Message::new();
        while !message.is_full() {
            message.add(&RECORD_OF_FLOW);
        }
        assert_eq!(message.records(), 27);
        assert!(message.finish(0, 0, 0).len() <= 1400);
        message.clear();
        assert_eq!((message.records(), message.is_full()), (0, false));
    }
}
