//! Captures, read by the letter of the pcap format (draft-ietf-opsawg-pcap).

use std::path::Path;

/// One frame of a capture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// When it was captured, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// All of it.
    pub frame: Vec<u8>,
}

/// Reads an Ethernet capture of either byte order, with microseconds or nanoseconds.
///
/// # Panics
/// When the file is anything else, is cut short, or holds a frame that is cut short.
#[must_use]
pub fn read_capture(path: &Path) -> Vec<Record> {
    let name = path.display();
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let bytes = |at: usize| -> [u8; 4] {
        let bytes = data
            .get(at..at + 4)
            .unwrap_or_else(|| panic!("{name}: cut at byte {at}"));
        bytes.try_into().expect("four bytes")
    };
    let (read, unit): (fn([u8; 4]) -> u32, u64) = match u32::from_be_bytes(bytes(0)) {
        0xa1b2_c3d4 => (u32::from_be_bytes, 1000),
        0xa1b2_3c4d => (u32::from_be_bytes, 1),
        0xd4c3_b2a1 => (u32::from_le_bytes, 1000),
        0x4d3c_b2a1 => (u32::from_le_bytes, 1),
        magic => panic!("{name}: begins with {magic:#x}"),
    };
    let word = |at: usize| read(bytes(at));
    assert_eq!(word(20), 1, "{name}: not Ethernet");
    let mut records = Vec::new();
    let mut at = 24;
    while at < data.len() {
        let (seconds, fraction, captured, original) =
            (word(at), word(at + 4), word(at + 8), word(at + 12));
        assert_eq!(captured, original, "{name}: a cut frame at byte {at}");
        let end = at + 16 + captured as usize;
        let frame = data
            .get(at + 16..end)
            .unwrap_or_else(|| panic!("{name}: cut at byte {at}"))
            .to_vec();
        records.push(Record {
            time: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * unit,
            frame,
        });
        at = end;
    }
    records
}
