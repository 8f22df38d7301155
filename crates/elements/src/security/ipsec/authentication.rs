//! What AH says of bytes: HMAC-SHA-256, cut to 16 bytes (RFC 4868).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the check value.
pub(super) const CHECK: usize = 16;
/// Bytes of a key: as many as the hash has.
const KEY: usize = 32;

/// A key, ready for use.
pub(super) struct AuthenticationKey(Hmac<Sha256>);

impl AuthenticationKey {
    /// A key of 32 bytes.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let key = Some(bytes).filter(|bytes| bytes.len() == KEY)?;
        Hmac::new_from_slice(key).ok().map(Self)
    }

    /// The check value of some parts, one after the other.
    pub(super) fn check_value(&self, parts: &[&[u8]]) -> [u8; CHECK] {
        let mut hmac = self.0.clone();
        parts.iter().for_each(|part| hmac.update(part));
        let mut value = [0; CHECK];
        for (to, from) in value.iter_mut().zip(hmac.finalize().into_bytes()) {
            *to = from;
        }
        value
    }

    /// Whether a check value is right, in a time that does not tell how much of it is.
    pub(super) fn is_right(&self, parts: &[&[u8]], value: &[u8]) -> bool {
        let mut hmac = self.0.clone();
        parts.iter().for_each(|part| hmac.update(part));
        hmac.verify_truncated_left(value).is_ok() && value.len() == CHECK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_case_of_rfc_4868_comes_out() {
        // RFC 4868, section 2.7.2.1, test case AUTH256-1.
        let key = AuthenticationKey::new(&[0x0b; 32]).expect("a key");
        let expected = [
            0x19, 0x8a, 0x60, 0x7e, 0xb4, 0x4b, 0xfb, 0xc6, 0x99, 0x03, 0xa0, 0xf1, 0xcf, 0x2b,
            0xbd, 0xc5,
        ];
        assert_eq!(key.check_value(&[b"Hi ", b"There"]), expected);
        assert!(key.is_right(&[b"Hi There"], &expected));
        assert!(!key.is_right(&[b"Hi There"], &expected[..15]));
        assert!(!key.is_right(&[b"Hi there"], &expected));
        assert!(AuthenticationKey::new(&[0; 31]).is_none());
    }
}
