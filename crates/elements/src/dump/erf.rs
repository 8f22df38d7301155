//! Endace's Extensible Record Format: records with a header of sixteen bytes.

use super::capture::link;
use super::trace::Record;

/// Bytes of a record's header.
pub(super) const HEADER: usize = 16;

/// Bits of the type byte: the type, and whether more headers follow.
const TYPE: u8 = 0x7f;
const EXTENSION: u8 = 0x80;

/// Bytes of each further header; the first bit says whether there is another.
const EXTENSION_LENGTH: usize = 8;

/// Types of records.
mod kind {
    pub(super) const HDLC: u8 = 1;
    pub(super) const ETHERNET: u8 = 2;
    pub(super) const ATM: u8 = 3;
    pub(super) const AAL5: u8 = 4;
    pub(super) const IPV4: u8 = 22;
    pub(super) const IPV6: u8 = 23;
}

/// How long a record is, with its header; `None` where that is shorter than the header.
pub(super) fn length(header: &[u8; HEADER]) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([header[10], header[11]]));
    (length >= HEADER).then_some(length)
}

/// What a whole record says.
pub(super) fn record(bytes: &[u8]) -> Option<Record> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    // Seconds and 2^-32 seconds, in Intel's byte order.
    let time = u64::from_le_bytes(*header.first_chunk()?);
    let fraction = (u128::from(time & 0xffff_ffff) * 1_000_000_000) >> 32;
    let seconds = i64::try_from(time >> 32).ok()?;
    let mut begin = HEADER;
    let mut more = header[8] & EXTENSION != 0;
    while more {
        more = bytes.get(begin)? & EXTENSION != 0;
        begin += EXTENSION_LENGTH;
    }
    // What stands between the headers and the frame, and bytes behind the frame that the length on the
    // wire counts.
    let (skip, trailer, link) = match header[8] & TYPE {
        kind::HDLC => (0, 0, link::C_HDLC),
        kind::ETHERNET => (2, 4, link::ETHERNET),
        // The header of a cell, and no check byte.
        kind::ATM | kind::AAL5 => (4, 0, link::ATM_RFC1483),
        kind::IPV4 | kind::IPV6 => (0, 0, link::RAW),
        _ => return None,
    };
    begin += skip;
    let wire = usize::from(u16::from_be_bytes([header[14], header[15]])).saturating_sub(trailer);
    let present = bytes.len().checked_sub(begin)?;
    // Records are filled up, and may hold the check sequence.
    let captured = present.min(wire);
    Some(Record {
        timestamp: seconds * 1_000_000_000 + i64::try_from(fraction).ok()?,
        begin,
        end: begin + captured,
        missing: u32::try_from(wire - captured).ok()?,
        link,
        paint: header[9] & 3,
    })
}
