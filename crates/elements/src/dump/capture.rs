//! The pcap file format (draft-ietf-opsawg-pcap), read and written without trusting it.

/// Bytes of a file's header.
pub(super) const FILE_HEADER: usize = 24;

/// Bytes of a record's header.
pub(super) const RECORD_HEADER: usize = 16;

/// The longest record that is believed.
pub(super) const RECORD_LIMIT: u32 = 1 << 18;

/// Link types, by their numbers in the tcpdump.org registry.
pub(super) mod link {
    /// Ethernet.
    pub(crate) const ETHERNET: u32 = 1;
    /// BSD loopback: a 4-byte address family before the packet.
    pub(crate) const NULL: u32 = 0;
    /// Raw IP, and two numbers that some systems write for it.
    pub(crate) const RAW: u32 = 101;
    /// Raw IP as BSD/OS writes it.
    pub(crate) const RAW_BSD: u32 = 12;
    /// Raw IP as OpenBSD writes it.
    pub(crate) const RAW_OPENBSD: u32 = 14;
    /// Linux "cooked" capture.
    pub(crate) const LINUX_SLL: u32 = 113;
    /// Frames in HDLC framing: of PPP (RFC 1662) or of Cisco.
    pub(crate) const C_HDLC: u32 = 104;
    /// An LLC header, as in cells of ATM (RFC 2684).
    pub(crate) const ATM_RFC1483: u32 = 100;

    /// Click's names; where a type has several the first is said.
    const NAMES: [(&str, u32); 18] = [
        ("NULL", NULL),
        ("IP", RAW),
        ("ETHER", ETHERNET),
        ("FDDI", 10),
        ("ATM", ATM_RFC1483),
        ("RFC1483", ATM_RFC1483),
        ("ATM_RFC1483", ATM_RFC1483),
        ("802_11", 105),
        ("802.11", 105),
        ("802_11_RADIO", 127),
        ("802.11_RADIO", 127),
        ("SLL", LINUX_SLL),
        ("AIRONET", 120),
        ("HDLC", C_HDLC),
        ("PPP_HDLC", 50),
        ("PPP", 9),
        ("SUNATM", 123),
        ("PRISM", 119),
    ];

    /// The type that a name means, or a number such as `#1`.
    pub(crate) fn named(name: &str) -> Option<u32> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, link)| *link).or_else(|| {
            let number = name.strip_prefix('#').unwrap_or(name);
            number.parse().ok().filter(|link| *link < 0x7fff_ffff)
        })
    }

    /// A type's name, or its number.
    pub(crate) fn name(link: u32) -> alloc::string::String {
        let link = match link {
            RAW_BSD | RAW_OPENBSD => RAW,
            other => other,
        };
        match NAMES.iter().find(|(_, known)| *known == link) {
            Some((name, _)) => (*name).into(),
            None => alloc::format!("#{link}"),
        }
    }
}

/// What a file's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    big_endian: bool,
    /// Nanoseconds in the unit of the records' fractions.
    unit: i64,
    pub(super) link: u32,
}

/// What a record's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// Nanoseconds since the Unix epoch.
    pub(super) timestamp: i64,
    /// Bytes in the file, and on the wire.
    pub(super) captured: u32,
    pub(super) original: u32,
}

impl FileHeader {
    /// Reads a file's header; `None` where the file is no capture.
    pub(super) fn parse(bytes: &[u8; FILE_HEADER]) -> Option<Self> {
        let (big_endian, unit) = match bytes[..4] {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1000),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
            _ => return None,
        };
        let mut header = Self {
            big_endian,
            unit,
            link: 0,
        };
        // The upper bits say what follows frames; only the number matters here.
        header.link = header.number(&bytes[20..24]) & 0x0fff_ffff;
        Some(header)
    }

    fn number(&self, bytes: &[u8]) -> u32 {
        let bytes: [u8; 4] = bytes.try_into().unwrap_or_default();
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    /// Reads a record's header; `None` where it claims to be longer than any record is.
    pub(super) fn record(&self, bytes: &[u8; RECORD_HEADER]) -> Option<RecordHeader> {
        let seconds = i64::from(self.number(&bytes[0..4]));
        let fraction = i64::from(self.number(&bytes[4..8]));
        let captured = self.number(&bytes[8..12]);
        (captured <= RECORD_LIMIT).then(|| RecordHeader {
            timestamp: seconds * 1_000_000_000 + fraction * self.unit,
            captured,
            original: self.number(&bytes[12..16]),
        })
    }
}

/// The header of a file whose records hold up to `snapshot` bytes.
pub(super) fn file_header(link: u32, snapshot: u32, nanoseconds: bool) -> [u8; FILE_HEADER] {
    let mut bytes = [0; FILE_HEADER];
    let magic: u32 = if nanoseconds {
        0xa1b2_3c4d
    } else {
        0xa1b2_c3d4
    };
    bytes[0..4].copy_from_slice(&magic.to_le_bytes());
    bytes[4] = 2;
    bytes[6] = 4;
    bytes[16..20].copy_from_slice(&snapshot.to_le_bytes());
    bytes[20..24].copy_from_slice(&link.to_le_bytes());
    bytes
}

/// The header of a record.
pub(super) fn record_header(record: &RecordHeader, nanoseconds: bool) -> [u8; RECORD_HEADER] {
    let mut bytes = [0; RECORD_HEADER];
    let seconds = u32::try_from(record.timestamp.div_euclid(1_000_000_000)).unwrap_or(0);
    let fraction = record.timestamp.rem_euclid(1_000_000_000) / if nanoseconds { 1 } else { 1000 };
    bytes[0..4].copy_from_slice(&seconds.to_le_bytes());
    bytes[4..8].copy_from_slice(&u32::try_from(fraction).unwrap_or(0).to_le_bytes());
    bytes[8..12].copy_from_slice(&record.captured.to_le_bytes());
    bytes[12..16].copy_from_slice(&record.original.to_le_bytes());
    bytes
}

/// Where the network header of a frame begins and whether it is IPv4, by the frame's link type.
/// `None` where the frame is too short or of a link type that is not known.
pub(super) fn network_offset(link: u32, frame: &[u8]) -> Option<(usize, bool)> {
    let kind = |at: usize| {
        frame
            .get(at..at + 2)
            .map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let version = |at: usize| frame.get(at).is_some_and(|byte| byte >> 4 == 4);
    match link {
        link::ETHERNET => match kind(12)? {
            // A VLAN tag or two in front of the type.
            0x8100 | 0x88a8 if matches!(kind(16), Some(0x8100)) => Some((22, kind(20)? == 0x0800)),
            0x8100 | 0x88a8 => Some((18, kind(16)? == 0x0800)),
            ethertype => Some((14, ethertype == 0x0800)),
        },
        link::RAW | link::RAW_BSD | link::RAW_OPENBSD => Some((0, version(0))),
        link::NULL => Some((4, version(4))),
        link::LINUX_SLL => Some((16, kind(14)? == 0x0800)),
        // The protocol is a number of PPP behind PPP's address, and an Ethernet type behind others.
        link::C_HDLC => Some((
            4,
            kind(2)? == if kind(0)? == 0xff03 { 0x0021 } else { 0x0800 },
        )),
        link::ATM_RFC1483 => Some((8, frame.get(..8)? == [0xaa, 0xaa, 3, 0, 0, 0, 8, 0])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_are_written() {
        for nanoseconds in [false, true] {
            let header =
                FileHeader::parse(&file_header(link::ETHERNET, 2000, nanoseconds)).unwrap();
            assert_eq!(header.link, link::ETHERNET);
            let record = RecordHeader {
                timestamp: 1_700_000_000_123_456_000,
                captured: 60,
                original: 1500,
            };
            assert_eq!(
                header.record(&record_header(&record, nanoseconds)),
                Some(record)
            );
        }
    }

    #[test]
    fn big_endian_files_are_read_too() {
        let mut bytes = [0; FILE_HEADER];
        bytes[..4].copy_from_slice(&[0xa1, 0xb2, 0xc3, 0xd4]);
        bytes[23] = 101;
        let header = FileHeader::parse(&bytes).unwrap();
        assert_eq!(header.link, link::RAW);
        let record = header.record(&[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
        assert_eq!(
            record,
            Some(RecordHeader {
                timestamp: 1_000_002_000,
                captured: 3,
                original: 4
            })
        );
    }

    #[test]
    fn what_is_no_capture_and_what_is_too_long_is_refused() {
        assert_eq!(FileHeader::parse(&[b'x'; FILE_HEADER]), None);
        let header = FileHeader::parse(&file_header(1, 2000, false)).unwrap();
        assert_eq!(header.record(&[0xff; RECORD_HEADER]), None);
    }

    #[test]
    fn the_network_header_is_found_behind_vlan_tags() {
        let mut frame = [0; 40];
        frame[12..14].copy_from_slice(&[8, 0]);
        assert_eq!(network_offset(link::ETHERNET, &frame), Some((14, true)));
        frame[12..18].copy_from_slice(&[0x81, 0, 0, 5, 8, 0]);
        assert_eq!(network_offset(link::ETHERNET, &frame), Some((18, true)));
        assert_eq!(network_offset(link::ETHERNET, &frame[..13]), None);
        assert_eq!(network_offset(9999, &frame), None);
    }
}
