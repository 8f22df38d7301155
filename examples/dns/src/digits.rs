//! Bytes written as digits of a base that is a power of two (RFC 4648).

use alloc::vec::Vec;

/// A base by the value of each of its digits.
pub(crate) struct Base {
    bits: u32,
    value: fn(u8) -> Option<u8>,
}

/// Hexadecimal.
pub(crate) const HEX: Base = Base {
    bits: 4,
    value: |digit| match digit.to_ascii_lowercase() {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    },
};

/// Base 32 whose digits are in the order of their values.
pub(crate) const BASE_32: Base = Base {
    bits: 5,
    value: |digit| match digit.to_ascii_lowercase() {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'v' => Some(digit - b'a' + 10),
        _ => None,
    },
};

/// Base 64.
pub(crate) const BASE_64: Base = Base {
    bits: 6,
    value: |digit| match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    },
};

impl Base {
    /// Adds the bytes that the digits are; none where they are no digits, or where there are more
    /// or fewer than bytes take. Padding at the end may be there or not.
    pub(crate) fn read(&self, digits: impl Iterator<Item = u8>, out: &mut Vec<u8>) -> Option<()> {
        let (mut held, mut bits) = (0u32, 0);
        let mut padded = false;
        for digit in digits {
            if digit == b'=' && self.bits == 6 {
                padded = true;
                continue;
            }
            if padded {
                return None;
            }
            held = held << self.bits | u32::from((self.value)(digit)?);
            bits += self.bits;
            if bits >= 8 {
                bits -= 8;
                out.push(u8::try_from(held >> bits & 0xff).ok()?);
            }
            held &= 0xff;
        }
        // What is left over is less than a digit, and zero.
        (bits < self.bits && held & ((1 << bits) - 1) == 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(base: &Base, digits: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        base.read(digits.bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn digits_are_bytes_as_the_rfc_shows() {
        // RFC 4648, section 10.
        for (text, base_64, base_32, hex) in [
            ("", "", "", ""),
            ("f", "Zg==", "CO", "66"),
            ("fo", "Zm8=", "CPNG", "666F"),
            ("foo", "Zm9v", "CPNMU", "666F6F"),
            ("foob", "Zm9vYg==", "CPNMUOG", "666F6F62"),
            ("fooba", "Zm9vYmE=", "CPNMUOJ1", "666F6F6261"),
            ("foobar", "Zm9vYmFy", "CPNMUOJ1E8", "666F6F626172"),
        ] {
            let bytes = Some(text.as_bytes().to_vec());
            assert_eq!(read(&BASE_64, base_64), bytes);
            assert_eq!(read(&BASE_64, base_64.trim_end_matches('=')), bytes);
            assert_eq!(read(&BASE_32, base_32), bytes);
            assert_eq!(read(&HEX, hex), bytes);
        }
    }

    #[test]
    fn what_is_no_whole_number_of_bytes_is_refused() {
        for (base, digits) in [
            (&HEX, "6"),
            (&HEX, "6g"),
            (&BASE_32, "C"),
            (&BASE_32, "CW"),
            (&BASE_32, "CP="),
            (&BASE_64, "Z"),
            (&BASE_64, "Zh=="),
            (&BASE_64, "Zg==Zg=="),
        ] {
            assert_eq!(read(base, digits), None, "{digits}");
        }
    }
}
