//! Checksums that a sender has left to the interface.
//!
//! A frame that comes from a neighbour on the same host may carry the sum of its pseudo header in
//! place of a checksum, for a card to complete. Other sockets are told of that; a program that sees
//! frames as early as XDP is not, so the field itself has to tell: one checksum in 65,536 is that sum
//! by chance, and completing it writes the same again.

use sprat_abi::frame::{FrameHead, offload};

use crate::port::offload::complete;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Tags that may stand in front of the type (IEEE 802.1Q and 802.1ad).
const TAGS: [u16; 2] = [0x8100, 0x88a8];

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Completes the checksum of a TCP or UDP frame that only holds the sum of its pseudo header.
pub(super) fn complete_partial(frame: &mut [u8]) {
    if let Some((start, offset)) = partial(frame) {
        let head = FrameHead {
            offload: offload::NEEDS_CHECKSUM,
            checksum_start: start,
            checksum_offset: offset,
            ..FrameHead::default()
        };
        complete(frame, &head);
    }
}

/// Where the checksummed part of such a frame begins, and where in it the field is.
fn partial(frame: &[u8]) -> Option<(u16, u16)> {
    let mut at = 12;
    let mut kind = word(frame, at)?;
    while TAGS.contains(&kind) && at < 20 {
        at += 4;
        kind = word(frame, at)?;
    }
    let ip = at + 2;
    let (protocol, addresses, start, end) = match kind {
        IPV4 => {
            let header = frame.get(ip..ip + 20)?;
            // Fragments have no transport header, or not the whole of what it sums.
            if header[0] >> 4 != 4 || word(header, 6)? & 0x3fff != 0 {
                return None;
            }
            let length = usize::from(header[0] & 15) * 4;
            let total = usize::from(word(header, 2)?);
            (header[9], &header[12..20], ip + length, ip + total)
        }
        IPV6 => {
            let header = frame.get(ip..ip + 40)?;
            let length = usize::from(word(header, 4)?);
            (header[6], &header[8..40], ip + 40, ip + 40 + length)
        }
        _ => return None,
    };
    let offset = match protocol {
        TCP => 16,
        UDP => 6,
        _ => return None,
    };
    // What lies behind the packet's end would be summed as well.
    if end != frame.len() {
        return None;
    }
    let field = word(frame.get(start..end)?, offset)?;
    let length = u64::try_from(end - start).ok()?;
    let (pairs, _) = addresses.as_chunks::<2>();
    let mut sum: u64 = pairs
        .iter()
        .map(|pair| u64::from(u16::from_be_bytes(*pair)))
        .sum();
    sum += u64::from(protocol) + length;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let is_partial = field != 0 && u64::from(field) == sum;
    is_partial
        .then(|| Some((u16::try_from(start).ok()?, u16::try_from(offset).ok()?)))
        .flatten()
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|pair| u16::from_be_bytes(*pair))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a frame says of itself, nothing but one field changes.
        #[test]
        fn at_most_a_checksum_changes(
            rest in prop::collection::vec(any::<u8>(), 0..80),
            kind in prop::sample::select(vec![IPV4, IPV6, TAGS[0], TAGS[1], 0]),
            version in prop::sample::select(vec![0x45, 0x4f, 0x40, 0x60]),
        ) {
            let mut frame = vec![0; 12];
            frame.extend(kind.to_be_bytes());
            frame.push(version);
            frame.extend(rest);
            let mut completed = frame.clone();
            complete_partial(&mut completed);
            let changed: Vec<_> = (0..frame.len()).filter(|at| frame[*at] != completed[*at]).collect();
            if let (Some(first), Some(last)) = (changed.first(), changed.last()) {
                prop_assert!(last - first < 2);
            }
        }
    }

    /// A datagram with two bytes from 192.0.2.1 to 192.0.2.2, with what stands in its checksum.
    fn datagram(checksum: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend(IPV4.to_be_bytes());
        frame.extend([
            0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, UDP, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
        ]);
        frame.extend([0, 7, 0, 9, 0, 10]);
        frame.extend(checksum.to_be_bytes());
        frame.extend([0x12, 0x34]);
        frame
    }

    /// By hand: c000 + 0201 + c000 + 0202 + 0011 + 000a.
    const PSEUDO_HEADER: u16 = 0x841f;

    /// The same and 0007 + 0009 + 000a + 1234, complemented.
    const WHOLE: u16 = !0x966d;

    #[test]
    fn the_sum_of_a_pseudo_header_is_completed() {
        let mut frame = datagram(PSEUDO_HEADER);
        complete_partial(&mut frame);
        assert_eq!(frame, datagram(WHOLE));
    }

    #[test]
    fn a_tag_and_options_in_front_are_skipped() {
        let mut plain = datagram(PSEUDO_HEADER);
        let mut expected = datagram(WHOLE);
        for frame in [&mut plain, &mut expected] {
            frame[14] = 0x46;
            frame[17] = 34;
            frame.splice(34..34, [1, 1, 1, 0]);
            frame.splice(12..12, [0x81, 0, 0, 7]);
        }
        complete_partial(&mut plain);
        assert_eq!(plain, expected);
    }

    #[test]
    fn other_checksums_are_left_as_they_are() {
        let fragment = |mut frame: Vec<u8>| {
            frame[20] = 0x20;
            frame
        };
        let padded = |mut frame: Vec<u8>| {
            frame.push(0);
            frame
        };
        let frames = [
            datagram(WHOLE),
            datagram(0),
            datagram(PSEUDO_HEADER ^ 1),
            fragment(datagram(PSEUDO_HEADER)),
            padded(datagram(PSEUDO_HEADER)),
        ];
        for frame in frames {
            let mut same = frame.clone();
            complete_partial(&mut same);
            assert_eq!(same, frame);
        }
    }

    #[test]
    fn no_frame_is_too_short() {
        let whole = datagram(PSEUDO_HEADER);
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            complete_partial(&mut cut);
            assert_eq!(cut, whole[..length]);
        }
    }
}
