//! TCP options as text.
//!
//! Options are separated by semicolons (commas are read too), `.` is none, `?` malformed ones: `mss1400`, `wscale10`,
//! `sackok`, `sack1-18` (one block; blocks side by side are one option), `ts1:2` (value and echo),
//! `nop` and `eol` are read but not written; any other is `KIND=BYTE:BYTE…`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use sprat_packet::headers::{TcpOption, TcpOptions, tcp_option};

use super::fields::number;
use super::ip_options::{parse_numbered, shorten, split_option, write_numbered};

/// Which options are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    All,
    /// All but timestamps.
    NoTimestamps,
    /// Those of selective acknowledgement.
    Sack,
}

/// Reads options of those that are shown; `None` where they are malformed or too long.
pub(super) fn parse(text: &str, shown: Shown, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    if text == "." {
        return Some(());
    }
    let mut rest = text;
    // Where the option of blocks stands that the next block may join.
    let mut blocks = None;
    while !rest.is_empty() {
        let (item, after) = split_option(rest);
        if parse_one(item, shown, out, &mut blocks).is_none() {
            out.clear();
            return None;
        }
        // Only a comma joins blocks.
        if !rest[item.len()..].starts_with(',') {
            blocks = None;
        }
        rest = after;
    }
    shorten(out)
}

fn parse_one(
    item: &str,
    shown: Shown,
    out: &mut Vec<u8>,
    blocks: &mut Option<usize>,
) -> Option<()> {
    let block = if item == "sackok" {
        None
    } else {
        item.strip_prefix("sack")
    };
    if let Some(block) = block {
        let (left, right) = block.split_once(['-', ':'])?;
        let at = *blocks.get_or_insert_with(|| {
            out.extend([tcp_option::SACK, 2]);
            out.len() - 1
        });
        out[at] = out[at].checked_add(8)?;
        out.extend(number::<u32>(left)?.to_be_bytes());
        out.extend(number::<u32>(right)?.to_be_bytes());
        return Some(());
    }
    *blocks = None;
    if item == "sackok" {
        out.extend([tcp_option::SACK_PERMITTED, 2]);
        return Some(());
    }
    if shown == Shown::Sack {
        return None;
    }
    match item {
        "nop" if shown == Shown::All => out.push(tcp_option::NO_OPERATION),
        "eol" if shown == Shown::All => out.push(tcp_option::END),
        _ => {
            if let Some(size) = item.strip_prefix("mss") {
                out.extend([tcp_option::MAXIMUM_SEGMENT_SIZE, 4]);
                out.extend(number::<u16>(size)?.to_be_bytes());
            } else if let Some(shift) = item.strip_prefix("wscale") {
                out.extend([tcp_option::WINDOW_SCALE, 3, number(shift)?]);
            } else if let Some(times) = item.strip_prefix("ts").filter(|_| shown == Shown::All) {
                let (value, echo) = times.split_once(':')?;
                // As RFC 7323 recommends for a timestamp alone.
                if out.is_empty() {
                    out.extend([tcp_option::NO_OPERATION; 2]);
                }
                out.extend([tcp_option::TIMESTAMPS, 10]);
                out.extend(number::<u32>(value)?.to_be_bytes());
                out.extend(number::<u32>(echo)?.to_be_bytes());
            } else {
                return parse_numbered(item, out);
            }
        }
    }
    Some(())
}

/// Copies those of the options that are shown, as they stand in the header.
pub(super) fn select(bytes: &[u8], shown: Shown, out: &mut Vec<u8>) {
    if shown == Shown::All {
        out.extend(bytes);
        return;
    }
    let mut rest = bytes;
    while let Some(&kind) = rest.first() {
        let length = match kind {
            tcp_option::END => return,
            tcp_option::NO_OPERATION => 1,
            _ => usize::from(rest.get(1).copied().unwrap_or(0)),
        };
        // What cannot be an option ends them.
        let Some((option, after)) = rest.split_at_checked(length).filter(|_| length > 0) else {
            return;
        };
        let wanted = match kind {
            tcp_option::NO_OPERATION => false,
            tcp_option::SACK | tcp_option::SACK_PERMITTED => true,
            tcp_option::TIMESTAMPS => false,
            _ => shown == Shown::NoTimestamps,
        };
        if wanted {
            out.extend(option);
        }
        rest = after;
    }
}

/// Writes options.
pub(super) fn write(bytes: &[u8], shown: Shown, out: &mut String) {
    let begin = out.len();
    for option in TcpOptions::new(bytes) {
        let Ok(option) = option else {
            out.truncate(begin);
            out.push('?');
            return;
        };
        let wanted = match option {
            TcpOption::Sack(_) | TcpOption::SackPermitted => true,
            TcpOption::NoOperation => false,
            TcpOption::Timestamps { .. } => shown == Shown::All,
            _ => shown != Shown::Sack,
        };
        if !wanted {
            continue;
        }
        if out.len() > begin {
            out.push(';');
        }
        write_one(option, out);
    }
    if out.len() == begin {
        out.push('.');
    }
}

fn write_one(option: TcpOption<'_>, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match option {
        TcpOption::NoOperation => Ok(()),
        TcpOption::MaximumSegmentSize(size) => write!(out, "mss{size}"),
        TcpOption::WindowScale(shift) => write!(out, "wscale{shift}"),
        TcpOption::SackPermitted => out.write_str("sackok"),
        TcpOption::Sack(blocks) => {
            for (at, (left, right)) in blocks.iter().enumerate() {
                let separator = if at > 0 { ";" } else { "" };
                let _ = write!(out, "{separator}sack{left}-{right}");
            }
            Ok(())
        }
        TcpOption::Timestamps { value, echo } => write!(out, "ts{value}:{echo}"),
        TcpOption::Other { kind, data } => {
            write_numbered(kind, data, out);
            Ok(())
        }
    };
}
