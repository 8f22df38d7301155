//! What ESP does to bytes: AES-GCM with a 16-byte check value (RFC 4106).

use alloc::boxed::Box;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm, Nonce, Tag};

use super::Refusal;

/// Bytes of SPI, sequence number and initialisation vector.
pub(super) const HEADER: usize = 16;
/// Bytes of the check value.
pub(super) const CHECK: usize = 16;
/// Bytes of padding length and next header.
const TRAILER: usize = 2;

/// A key, and the salt that comes with it.
pub(super) struct EncryptionKey {
    cipher: Cipher,
    salt: [u8; 4],
}

enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes256(Box<Aes256Gcm>),
}

/// Bytes of padding behind a payload, so that the next header ends a word of 32 bits.
pub(super) fn padding(payload: usize) -> usize {
    (payload + TRAILER).next_multiple_of(4) - payload - TRAILER
}

/// Bytes behind a payload.
pub(super) fn behind(payload: usize) -> usize {
    padding(payload) + TRAILER + CHECK
}

impl EncryptionKey {
    /// A key of 16 or 32 bytes, and 4 of salt behind it.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let (key, salt) = bytes.split_last_chunk::<4>()?;
        let cipher = match key.len() {
            16 => Cipher::Aes128(Box::new(Aes128Gcm::new_from_slice(key).ok()?)),
            32 => Cipher::Aes256(Box::new(Aes256Gcm::new_from_slice(key).ok()?)),
            _ => return None,
        };
        Some(Self {
            cipher,
            salt: *salt,
        })
    }

    fn nonce(&self, vector: &[u8]) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.salt);
        for (to, from) in nonce[4..].iter_mut().zip(vector) {
            *to = *from;
        }
        nonce
    }

    /// Encrypts in place. In `bytes` the header stands with what it says, then the payload, then room
    /// for what is [`behind`] it.
    pub(super) fn seal(
        &self,
        bytes: &mut [u8],
        payload: usize,
        next_header: u8,
    ) -> Result<(), Refusal> {
        let (header, rest) = bytes.split_at_mut_checked(HEADER).ok_or(Refusal::Unfit)?;
        let (text, check) = rest.split_last_chunk_mut::<CHECK>().ok_or(Refusal::Unfit)?;
        let Some([padded @ .., pad, next]) = text.get_mut(payload..) else {
            return Err(Refusal::Unfit);
        };
        // Padding counts up from one (RFC 4303, section 2.4).
        let mut number = 0;
        for byte in padded {
            number += 1;
            *byte = number;
        }
        (*pad, *next) = (number, next_header);
        let (associated, vector) = header.split_at(8);
        let nonce = Nonce::from(self.nonce(vector));
        let tag = match &self.cipher {
            Cipher::Aes128(cipher) => {
                cipher.encrypt_inout_detached(&nonce, associated, text.into())
            }
            Cipher::Aes256(cipher) => {
                cipher.encrypt_inout_detached(&nonce, associated, text.into())
            }
        };
        check.copy_from_slice(&tag.map_err(|_| Refusal::Unfit)?);
        Ok(())
    }

    /// Decrypts in place what begins with the header; the payload's length and the next header.
    pub(super) fn open(&self, bytes: &mut [u8]) -> Result<(usize, u8), Refusal> {
        let (header, rest) = bytes.split_at_mut_checked(HEADER).ok_or(Refusal::Unfit)?;
        let (text, check) = rest.split_last_chunk_mut::<CHECK>().ok_or(Refusal::Unfit)?;
        let (associated, vector) = header.split_at(8);
        let nonce = Nonce::from(self.nonce(vector));
        let tag = Tag::from(*check);
        let opened = match &self.cipher {
            Cipher::Aes128(cipher) => {
                cipher.decrypt_inout_detached(&nonce, associated, (&mut *text).into(), &tag)
            }
            Cipher::Aes256(cipher) => {
                cipher.decrypt_inout_detached(&nonce, associated, (&mut *text).into(), &tag)
            }
        };
        opened.map_err(|_| Refusal::Forged)?;
        let [payload @ .., pad, next_header] = text else {
            return Err(Refusal::Unfit);
        };
        let length = payload.len().checked_sub(usize::from(*pad));
        Ok((length.ok_or(Refusal::Unfit)?, *next_header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text
            .chars()
            .filter_map(|digit| digit.to_digit(16))
            .collect();
        let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).expect("two digits");
        digits.chunks(2).map(byte).collect()
    }

    /// draft-mcgrew-gcm-test-01, section 4, cases without extended sequence numbers: key and salt;
    /// header and vector; payload; what they become, with the check value. Next header is 1.
    const CASES: [[&str; 4]; 2] = [
        [
            "feffe9928665731c6d6a8f9467308308 cafebabe",
            "0000a5f8 0000000a facedbaddecaf888",
            "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d00100\
             0001000000000000037369700963796265726369747902646b0000010001",
            "deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c\
             3de81827c10e9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd1\
             83b70d3aa8bc6ee4c309e9d85a41ad4a",
        ],
        [
            "abbccddef00112233445566778899aababbccddef00112233445566778899aab 11223344",
            "4a2cbfe3 00000002 0102030405060708",
            "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000\
             7002400020bf0000020405b401010402",
            "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763\
             748a637985771d347f0545659f14e99def842d8eb335f4eecfdbf831824b4c49\
             15956c96",
        ],
    ];

    #[test]
    fn packets_become_what_the_published_cases_say_and_back() {
        for [key, header, payload, sealed] in CASES.map(|case| case.map(hex)) {
            let key = EncryptionKey::new(&key).expect("a key");
            let mut bytes = [header.clone(), payload.clone()].concat();
            bytes.resize(bytes.len() + behind(payload.len()), 0);
            key.seal(&mut bytes, payload.len(), 1).expect("room");
            assert_eq!(bytes, [header, sealed].concat());
            assert_eq!(key.open(&mut bytes), Ok((payload.len(), 1)));
            assert_eq!(bytes[HEADER..][..payload.len()], payload);
        }
    }

    #[test]
    fn any_changed_bit_is_noticed() {
        let [key, header, payload, _] = CASES[1].map(hex);
        let key = EncryptionKey::new(&key).expect("a key");
        let mut bytes = [header, payload.clone()].concat();
        bytes.resize(bytes.len() + behind(payload.len()), 0);
        key.seal(&mut bytes, payload.len(), 4).expect("room");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert_eq!(key.open(&mut changed), Err(Refusal::Forged), "{at}");
        }
        assert_eq!(key.open(&mut bytes[..20]), Err(Refusal::Unfit));
    }

    #[test]
    fn payloads_of_any_length_come_back() {
        let key = EncryptionKey::new(&[7; 20]).expect("a key");
        for length in 0..40usize {
            let payload: Vec<u8> = (0..=255).take(length).collect();
            let mut bytes = [std::vec![1; HEADER], payload.clone()].concat();
            bytes.resize(bytes.len() + behind(length), 0);
            assert_eq!((bytes.len() - HEADER) % 4, 0);
            key.seal(&mut bytes, length, 17).expect("room");
            assert_eq!(key.open(&mut bytes), Ok((length, 17)));
            assert_eq!(bytes[HEADER..][..length], payload);
        }
    }

    #[test]
    fn keys_have_16_or_32_bytes_and_4_of_salt() {
        for length in 0..50 {
            let made = EncryptionKey::new(&std::vec![0; length]).is_some();
            assert_eq!(made, length == 20 || length == 36, "{length}");
        }
    }
}
