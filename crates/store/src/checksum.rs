//! CRC-32C (RFC 3720, appendix B.4), which may go on from the checksum of what came before.

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            // The polynomial 0x1edc6f41, its bits turned round.
            value = value >> 1 ^ if value & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// The checksum of what `before` is the checksum of (0: nothing), followed by `bytes`.
pub(crate) fn crc32c(before: u32, bytes: &[u8]) -> u32 {
    let mut value = !before;
    for byte in bytes {
        let [low, ..] = value.to_le_bytes();
        value = value >> 8 ^ TABLE[usize::from(low ^ byte)];
    }
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_3720_have_their_checksums() {
        let mut rising = [0; 32];
        (0..)
            .zip(&mut rising)
            .for_each(|(number, byte)| *byte = number);
        let mut falling = rising;
        falling.reverse();
        for (bytes, expected) in [
            ([0; 32], 0x8a91_36aa),
            ([0xff; 32], 0x62a8_ab43),
            (rising, 0x46dd_794e),
            (falling, 0x113f_db5c),
        ] {
            assert_eq!(crc32c(0, &bytes), expected);
            let (one, other) = bytes.split_at(13);
            assert_eq!(crc32c(crc32c(0, one), other), expected);
        }
    }
}
