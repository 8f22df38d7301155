//! IP options as text.
//!
//! Options are separated by semicolons (commas are read too), `.` is none, `?` malformed ones.
//! Routes are `rr{1.0.0.1,1.0.0.2}+3` (with room for three more) and `ssrr{1.0.0.1^1.0.0.2}`,
//! `lsrr{…}` (`^`, maybe with a comma before it, is where the pointer is). Timestamps are
//! `ts{1,2,!3}+2++1` (`!`: not in milliseconds since midnight; room for two; one hop found none),
//! `ts.ip{1.0.0.1=1}` and `ts.preip{1.0.0.1=1^1.0.0.2}` (addresses that shall say their time).
//! `nop` and `eol` are read but not written; any other is `TYPE=BYTE:BYTE…`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::Ipv4Addr;

use sprat_click::arguments::parse_unsigned;
use sprat_packet::headers::{Ipv4Options, ip_option};

use super::fields::number;

/// Most bytes of options in a header.
pub(super) const MAXIMUM: usize = 40;

/// Bit of a timestamp that is not in milliseconds since midnight (RFC 791).
const NONSTANDARD: u32 = 1 << 31;

/// The part before the first separator outside braces, and the rest.
pub(super) fn split_option(text: &str) -> (&str, &str) {
    let mut depth = 0_u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b';' | b',' if depth == 0 => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

/// Reads options; `None` where they are malformed or too long.
pub(super) fn parse(text: &str, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    if text == "." {
        return Some(());
    }
    let mut rest = text;
    while !rest.is_empty() {
        let (item, after) = split_option(rest);
        if parse_one(item, out).is_none() {
            out.clear();
            return None;
        }
        rest = after;
    }
    shorten(out)
}

/// Takes mere padding from the front of options that are too long; `None` where that is not
/// enough.
pub(super) fn shorten(options: &mut Vec<u8>) -> Option<()> {
    // What does nothing has the same number in IP and in TCP.
    let padding = options
        .iter()
        .take_while(|byte| **byte == ip_option::NO_OPERATION)
        .count();
    let over = options.len().saturating_sub(MAXIMUM);
    options.drain(..over.min(padding));
    if options.len() > MAXIMUM {
        options.clear();
        return None;
    }
    Some(())
}

fn parse_one(item: &str, out: &mut Vec<u8>) -> Option<()> {
    let (name, body) = item.split_at(item.find('{').unwrap_or(item.len()));
    match name {
        "rr" => parse_route(ip_option::RECORD_ROUTE, body, out),
        "lsrr" => parse_route(ip_option::LOOSE_SOURCE_ROUTE, body, out),
        "ssrr" => parse_route(ip_option::STRICT_SOURCE_ROUTE, body, out),
        "ts" => parse_timestamps(0, body, out),
        "ts.ip" => parse_timestamps(1, body, out),
        "ts.preip" => parse_timestamps(3, body, out),
        "nop" => {
            out.push(ip_option::NO_OPERATION);
            Some(())
        }
        "eol" => {
            out.push(ip_option::END);
            Some(())
        }
        _ => parse_numbered(item, out),
    }
}

/// `TYPE`, which is a byte by itself, or `TYPE=BYTE:BYTE…`.
pub(super) fn parse_numbered(item: &str, out: &mut Vec<u8>) -> Option<()> {
    let Some((kind, bytes)) = item.split_once('=') else {
        out.push(number(item)?);
        return Some(());
    };
    out.push(number(kind)?);
    let at = out.len();
    out.push(2);
    for byte in bytes.split(':') {
        out.push(number(byte)?);
    }
    out[at] = u8::try_from(out.len() - at + 1).ok()?;
    Some(())
}

/// Writes an option by its numbers.
pub(super) fn write_numbered(kind: u8, data: &[u8], out: &mut String) {
    // Writing to a string cannot fail; so below.
    let _ = write!(out, "{kind}");
    for (at, byte) in data.iter().enumerate() {
        let _ = write!(out, "{}{byte}", if at == 0 { '=' } else { ':' });
    }
}

/// The entries between braces, each with whether the pointer is there, and what stands behind
/// them.
fn braces(body: &str) -> Option<(impl Iterator<Item = (bool, &str)>, &str)> {
    let (inside, behind) = body.strip_prefix('{')?.split_once('}')?;
    let mut rest = inside;
    let entries = core::iter::from_fn(move || {
        let after_comma = rest.trim_start_matches(',');
        let entry = after_comma.strip_prefix('^');
        let pointer = entry.is_some();
        let entry = entry.unwrap_or(after_comma);
        let end = entry.find([',', '^']).unwrap_or(entry.len());
        rest = &entry[end..];
        (end > 0).then(|| (pointer, &entry[..end]))
    });
    Some((entries, behind))
}

fn parse_route(kind: u8, body: &str, out: &mut Vec<u8>) -> Option<()> {
    let (entries, behind) = braces(body)?;
    let start = out.len();
    out.extend([kind, 0, 0]);
    let mut pointer = None;
    for (pointed, address) in entries {
        if pointed {
            pointer = Some(out.len() - start + 1);
        }
        out.extend(address.parse::<Ipv4Addr>().ok()?.octets());
    }
    let end = out.len() - start + 1;
    out[start + 2] = u8::try_from(pointer.unwrap_or(end)).ok()?;
    let room: usize = match behind {
        "" | "^" => 0,
        _ => number(behind.strip_prefix('+')?)?,
    };
    out.resize(out.len() + room.min(MAXIMUM) * 4, 0);
    out[start + 1] = u8::try_from(out.len() - start).ok()?;
    Some(())
}

fn parse_timestamps(flag: u8, body: &str, out: &mut Vec<u8>) -> Option<()> {
    let (entries, behind) = braces(body)?;
    let start = out.len();
    out.extend([ip_option::TIMESTAMP, 0, 0, 0]);
    let mut pointer = None;
    for (pointed, entry) in entries {
        if pointed {
            pointer = Some(out.len() - start + 1);
        }
        let time = if flag == 0 {
            entry
        } else {
            let (address, time) = entry.split_once('=').unwrap_or((entry, "0"));
            out.extend(address.parse::<Ipv4Addr>().ok()?.octets());
            time
        };
        let time = match time.strip_prefix('!') {
            Some(time) => number::<u32>(time)? | NONSTANDARD,
            None => number::<u32>(time)?,
        };
        out.extend(time.to_be_bytes());
    }
    let end = out.len() - start + 1;
    out[start + 2] = u8::try_from(pointer.unwrap_or(end)).ok()?;
    let (room, overflow) = match behind.split_once("++") {
        Some((room, overflow)) => (room, parse_unsigned(overflow)?.ok()?),
        None => (behind, 0),
    };
    let room: usize = match room {
        "" => 0,
        room => number(room.strip_prefix('+')?)?,
    };
    let size = if flag == 0 { 4 } else { 8 };
    out.resize(out.len() + room.min(MAXIMUM) * size, 0);
    out[start + 1] = u8::try_from(out.len() - start).ok()?;
    out[start + 3] = u8::try_from(overflow).ok().filter(|count| *count < 16)? << 4 | flag;
    Some(())
}

/// Writes options.
pub(super) fn write(bytes: &[u8], out: &mut String) {
    let begin = out.len();
    for option in Ipv4Options::new(bytes) {
        let Ok(option) = option else {
            out.truncate(begin);
            out.push('?');
            return;
        };
        if option.kind == ip_option::NO_OPERATION {
            continue;
        }
        if out.len() > begin {
            out.push(';');
        }
        let data = option.data();
        let written = match option.kind {
            ip_option::RECORD_ROUTE => write_route("rr", data, out),
            ip_option::LOOSE_SOURCE_ROUTE => write_route("lsrr", data, out),
            ip_option::STRICT_SOURCE_ROUTE => write_route("ssrr", data, out),
            ip_option::TIMESTAMP => write_timestamps(data, out),
            kind => {
                write_numbered(kind, data, out);
                Some(())
            }
        };
        if written.is_none() {
            out.truncate(begin);
            out.push('?');
            return;
        }
    }
    if out.len() == begin {
        out.push('.');
    }
}

/// What stands before entry number `at`, where the pointer is at entry `pointer`.
fn separator(at: usize, pointer: Option<usize>) -> &'static str {
    match at {
        _ if Some(at) == pointer => "^",
        0 => "",
        _ => ",",
    }
}

/// The number of the entry of `size` bytes that begins `offset` bytes into all, if one does.
fn entry(offset: Option<usize>, size: usize) -> Option<usize> {
    offset
        .filter(|offset| offset.is_multiple_of(size))
        .map(|offset| offset / size)
}

/// Writes a route; `None` where its pointer points before its addresses.
fn write_route(name: &str, data: &[u8], out: &mut String) -> Option<()> {
    let (&pointer, entries) = data.split_first()?;
    let pointer = entry(Some(usize::from(pointer).checked_sub(4)?), 4);
    let addresses = entries.as_chunks::<4>().0;
    // A record of a route shows what was recorded; a route to take shows all of it.
    let recorded = name == "rr";
    let count = match pointer {
        Some(pointer) if recorded => pointer.min(addresses.len()),
        _ => addresses.len(),
    };
    let _ = write!(out, "{name}{{");
    for (at, octets) in addresses.iter().take(count).enumerate() {
        let separator = separator(at, pointer);
        let _ = write!(out, "{separator}{}", Ipv4Addr::from(*octets));
    }
    if !recorded && pointer == Some(addresses.len()) && entries.len().is_multiple_of(4) {
        out.push('^');
    }
    out.push('}');
    if addresses.len() > count {
        let _ = write!(out, "+{}", addresses.len() - count);
    }
    Some(())
}

/// Writes timestamps; `None` where the pointer points before them.
fn write_timestamps(data: &[u8], out: &mut String) -> Option<()> {
    let [pointer, flags, entries @ ..] = data else {
        return None;
    };
    let offset = usize::from(*pointer).checked_sub(5)?;
    let size = if flags & 15 == 0 { 4 } else { 8 };
    let pointer = entry(Some(offset), size);
    let all = entries.len() / size;
    let prespecified = flags & 15 == 3;
    let count = match pointer {
        Some(pointer) if !prespecified => pointer.min(all),
        _ => all,
    };
    let _ = match flags & 15 {
        0 => write!(out, "ts{{"),
        1 => write!(out, "ts.ip{{"),
        3 => write!(out, "ts.preip{{"),
        other => write!(out, "ts.{other}{{"),
    };
    for (at, entry) in entries.chunks_exact(size).take(count).enumerate() {
        out.push_str(separator(at, pointer));
        if let Some(octets) = entry.first_chunk::<4>().filter(|_| size == 8) {
            let _ = write!(out, "{}", Ipv4Addr::from(*octets));
            if prespecified && at * size >= offset {
                continue;
            }
            out.push('=');
        }
        let time = u32::from_be_bytes(*entry.last_chunk()?);
        let mark = if time & NONSTANDARD == 0 { "" } else { "!" };
        let _ = write!(out, "{mark}{}", time & !NONSTANDARD);
    }
    if offset == entries.len() {
        out.push('^');
    }
    out.push('}');
    if all > count {
        let _ = write!(out, "+{}", all - count);
    }
    if flags >> 4 > 0 {
        let _ = write!(out, "++{}", flags >> 4);
    }
    Some(())
}
