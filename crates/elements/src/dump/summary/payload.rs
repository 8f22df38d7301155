//! Fields of what the transport protocol carries.

use alloc::string::String;
use core::fmt::Write;

use md5::{Digest, Md5};
use sprat_click::arguments::unquote_bytes;

use super::View;
use super::fields::{Field, number};

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        &["payload"],
        |draft, word| {
            draft.payload = unquote_bytes(word);
            Some(())
        },
        |view, out| {
            write_quoted(view.payload()?, out);
            Some(())
        },
    ),
    Field::new(
        &["payload_len", "payload_length"],
        |draft, word| {
            draft.payload_length = Some(number(word)?);
            Some(())
        },
        |view, out| write!(out, "{}", view.payload_length()).ok(),
    ),
    Field::written(&["payload_md5"], |view, out| {
        write_digest(&digest(view)?, out);
        Some(())
    }),
    Field::written(&["payload_md5_hex"], |view, out| {
        digest(view)?
            .iter()
            .try_for_each(|byte| write!(out, "{byte:02x}").ok())
    }),
];

fn digest(view: &View<'_>) -> Option<[u8; 16]> {
    Some(Md5::digest(view.payload()?).into())
}

/// Writes bytes between quotation marks, with C's escapes.
pub(super) fn write_quoted(bytes: &[u8], out: &mut String) {
    out.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' | b'$' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "\\{byte:03o}")),
        }
    }
    out.push('"');
}

/// The characters of digests, from that of zero on.
const DIGITS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@";

/// Reads a digest as [`write_digest`] writes it.
pub(super) fn parse_digest(word: &str) -> Option<[u8; 16]> {
    let mut bits = 0_u128;
    for (at, character) in word.bytes().take(22).enumerate() {
        let six = DIGITS.iter().position(|digit| *digit == character)?;
        bits |= (six as u128) << (at * 6);
    }
    (word.len() == 22).then(|| bits.to_le_bytes())
}

/// Writes a digest in 22 characters of six bits each, the lowest bits first.
fn write_digest(digest: &[u8; 16], out: &mut String) {
    let mut bits = u128::from_le_bytes(*digest);
    for _ in 0..22 {
        let six = (bits & 63).to_le_bytes()[0];
        out.push(char::from(DIGITS[usize::from(six)]));
        bits >>= 6;
    }
}
