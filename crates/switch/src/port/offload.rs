//! What an instance leaves to the port that its frame leaves by.

use sprat_abi::frame::{FrameHead, offload};

/// Completes what a frame's head asks for: its checksum is filled in. False where the head asks for
/// what cannot be, and then nothing was done.
pub(super) fn complete(frame: &mut [u8], head: &FrameHead) -> bool {
    if head.offload & offload::NEEDS_CHECKSUM == 0 {
        return true;
    }
    let start = usize::from(head.checksum_start);
    let field = start + usize::from(head.checksum_offset);
    if field + 2 > frame.len() {
        return false;
    }
    // The field holds the sum of the pseudo header already. All ones stand for zero, which in UDP
    // says that there is no checksum (RFC 768).
    let sum = match checksum(&frame[start..]) {
        0 => 0xffff,
        sum => sum,
    };
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    true
}

/// The Internet checksum (RFC 1071).
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let pairs = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    let last = rest.first().map(|byte| u16::from(*byte) << 8);
    let mut sum: u64 = pairs.chain(last).map(u64::from).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(start: u16, offset: u16) -> FrameHead {
        FrameHead {
            offload: offload::NEEDS_CHECKSUM,
            checksum_start: start,
            checksum_offset: offset,
            ..FrameHead::default()
        }
    }

    /// RFC 1071's own example, section 3.
    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        assert_eq!(checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
    }

    #[test]
    fn a_completed_frame_sums_to_all_ones() {
        // Four bytes before it, the field at 2, and a partial sum in it.
        let mut frame = [9, 9, 9, 9, 1, 2, 0x12, 0x34, 5, 6, 7];
        assert!(complete(&mut frame, &request(4, 2)));
        // 0x0102 + 0x1234 + 0x0506 + 0x0700 = 0x1f3c.
        assert_eq!(frame[6..8], (!0x1f3c_u16).to_be_bytes());
        assert_eq!(frame[..4], [9; 4]);
    }

    #[test]
    fn a_field_outside_of_the_frame_is_refused() {
        let mut frame = [0; 10];
        assert!(!complete(&mut frame, &request(9, 0)));
        assert!(!complete(&mut frame, &request(u16::MAX, u16::MAX)));
        assert!(complete(&mut frame, &request(8, 0)));
    }

    #[test]
    fn a_sum_of_zero_is_written_as_all_ones() {
        let mut frame = [0xff, 0xff, 0, 0];
        assert!(complete(&mut frame, &request(0, 2)));
        assert_eq!(frame[2..], [0xff, 0xff]);
    }
}
