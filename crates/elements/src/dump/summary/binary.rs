//! Binary records: the fields of a line packed into bytes.
//!
//! A record is a word with its length, itself included, whose highest bit says that it holds a line
//! of text instead, and then the fields in order, all numbers in network byte order. Click's manual
//! page ToIPSummaryDump(n) gives the size of each. A field that a packet has not is zero. Fields
//! go through the text that they have in a line, so what a field is stands in one place.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, NoNames, Timestamp};
use sprat_packet::EtherAddress;

use super::fields::{Field, number};
use super::tcp_options::Shown;
use super::{View, ip_fields, ip_options, payload, tcp_options, transport_fields};
use crate::icmp::names::IcmpType;

/// The bit of a record's first word that says that it is a line of text.
pub(super) const TEXT: u32 = 1 << 31;

/// How a field is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// A number of so many bytes.
    Number(usize),
    /// Seconds and microseconds, four bytes each.
    Microseconds,
    /// Seconds and nanoseconds.
    Nanoseconds,
    Address,
    Ethernet,
    Ethertype,
    Protocol,
    Congestion,
    /// The letter that says whether a packet is a fragment.
    Fragment,
    /// The offset as it stands in the header, with its flags.
    Offset,
    IcmpType,
    TcpFlags,
    Direction,
    /// A byte that says how long they are, and options as in the header.
    IpOptions,
    TcpOptions(Shown),
    /// A digest, in text or in hexadecimal digits.
    TextDigest,
    Digest,
}

/// How a field is packed, if it can be.
pub(super) fn encoding(field: &Field) -> Option<Encoding> {
    Some(match field.name() {
        "timestamp" | "first_timestamp" => Encoding::Microseconds,
        "ntimestamp" | "first_ntimestamp" => Encoding::Nanoseconds,
        "ip_src" | "ip_dst" => Encoding::Address,
        "eth_src" | "eth_dst" => Encoding::Ethernet,
        "eth_type" => Encoding::Ethertype,
        "ip_proto" => Encoding::Protocol,
        "ip_ecn" => Encoding::Congestion,
        "ip_frag" => Encoding::Fragment,
        "ip_fragoff" => Encoding::Offset,
        "icmp_type_name" => Encoding::IcmpType,
        "tcp_flags" => Encoding::TcpFlags,
        "direction" => Encoding::Direction,
        "ip_opt" => Encoding::IpOptions,
        "tcp_opt" => Encoding::TcpOptions(Shown::All),
        "tcp_ntopt" => Encoding::TcpOptions(Shown::NoTimestamps),
        "tcp_sack" => Encoding::TcpOptions(Shown::Sack),
        "payload_md5" => Encoding::TextDigest,
        "payload_md5_hex" => Encoding::Digest,
        "ip_hl" | "ip_tos" | "ip_dscp" | "ip_ttl" | "tcp_off" | "icmp_type" | "icmp_code"
        | "link" => Encoding::Number(1),
        "sport" | "dport" | "ip_id" | "ip_sum" | "tcp_window" | "tcp_urp" | "tcp_sum"
        | "udp_sum" | "icmp_sum" | "icmp_flowid" | "icmp_seq" | "icmp_nextmtu" => {
            Encoding::Number(2)
        }
        "ts_sec" | "ts_usec" | "ip_len" | "ip_capture_len" | "tcp_seq" | "tcp_ack" | "udp_len"
        | "payload_len" | "count" | "aggregate" | "capture_len" | "wire_len" => Encoding::Number(4),
        "ts_usec1" => Encoding::Number(8),
        _ => return None,
    })
}

impl Encoding {
    /// How many bytes a field has; `None`: as many as its first byte says.
    fn size(self) -> Option<usize> {
        Some(match self {
            Self::Number(size) => size,
            Self::Protocol | Self::Congestion | Self::Fragment => 1,
            Self::IcmpType | Self::TcpFlags | Self::Direction => 1,
            Self::Offset | Self::Ethertype => 2,
            Self::Address => 4,
            Self::Ethernet => 6,
            Self::Microseconds | Self::Nanoseconds => 8,
            Self::Digest | Self::TextDigest => 16,
            Self::IpOptions | Self::TcpOptions(_) => return None,
        })
    }

    /// Packs a field of a packet, whose text is `word`.
    pub(super) fn pack(self, view: &View<'_>, word: &str, record: &mut Vec<u8>) {
        let begin = record.len();
        if let Some(size) = self.size() {
            if self.pack_fixed(word, record).is_none() {
                record.truncate(begin);
            }
            record.resize(begin + size, 0);
            return;
        }
        record.push(0);
        match self {
            Self::IpOptions => record.extend(view.ip_options().unwrap_or_default()),
            Self::TcpOptions(shown) => {
                let options = view.tcp_options(shown).unwrap_or_default();
                tcp_options::select(options, shown, record);
            }
            _ => {}
        }
        // Options are no longer than 40 bytes.
        record[begin] = u8::try_from(record.len() - begin - 1).unwrap_or(0);
    }

    fn pack_fixed(self, word: &str, record: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Number(size) => {
                let value = number::<u64>(word)?.to_be_bytes();
                record.extend(value.get(8 - size..)?);
            }
            Self::Microseconds | Self::Nanoseconds => {
                let time = Timestamp::parse(word, &NoNames).ok()?.0;
                let second = 1_000_000_000;
                let rest = time.rem_euclid(second);
                let scale = if self == Self::Nanoseconds { 1 } else { 1000 };
                for value in [time.div_euclid(second), rest / scale] {
                    record.extend(u32::try_from(value).ok()?.to_be_bytes());
                }
            }
            Self::Address => record.extend(word.parse::<Ipv4Addr>().ok()?.octets()),
            Self::Ethernet => record.extend(EtherAddress::parse(word, &NoNames).ok()?.0),
            Self::Ethertype => record.extend(u16::from_str_radix(word, 16).ok()?.to_be_bytes()),
            Self::Protocol => record.push(ip_fields::protocol(word)?),
            Self::Congestion => record.push(ip_fields::congestion(word)?),
            Self::Fragment => record.push(*word.as_bytes().first().filter(|byte| **byte != b'-')?),
            Self::Offset => record.extend(ip_fields::flags_and_offset(word)?.to_be_bytes()),
            Self::IcmpType => record.push(IcmpType::parse(word, &NoNames).ok()?.0),
            Self::TcpFlags => record.push(transport_fields::flags(word)?.to_be_bytes()[1]),
            Self::Direction => record.push(match word {
                ">" => 0,
                "<" => 1,
                _ => number(word)?,
            }),
            Self::TextDigest => record.extend(payload::parse_digest(word)?),
            Self::Digest => {
                for at in (0..32).step_by(2) {
                    record.push(u8::from_str_radix(word.get(at..at + 2)?, 16).ok()?);
                }
            }
            Self::IpOptions | Self::TcpOptions(_) => return None,
        }
        Some(())
    }

    /// Takes a field from the front of a record and writes its text; `None` where the record ends
    /// before it.
    pub(super) fn unpack(self, record: &mut &[u8], out: &mut String) -> Option<()> {
        let size = match self.size() {
            Some(size) => size,
            None => usize::from(*record.split_off_first()?),
        };
        let bytes = record.split_off(..size)?;
        let value = |bytes: &[u8]| bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Microseconds => write!(out, "{}.{:06}", value(&bytes[..4]), value(&bytes[4..])),
            Self::Nanoseconds => write!(out, "{}.{:09}", value(&bytes[..4]), value(&bytes[4..])),
            Self::Address => write!(out, "{}", Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
            Self::Ethernet => write!(out, "{}", EtherAddress(*bytes.first_chunk()?)),
            Self::Ethertype => write!(out, "{:04X}", value(bytes)),
            Self::Fragment => out.write_char(match bytes[0] {
                letter @ (b'F' | b'f' | b'!' | b'.') => char::from(letter),
                _ => '-',
            }),
            Self::Offset => ip_fields::write_offset(u16::from_be_bytes(*bytes.first_chunk()?), out),
            Self::IpOptions => {
                ip_options::write(bytes, out);
                Ok(())
            }
            Self::TcpOptions(_) => {
                tcp_options::write(bytes, Shown::All, out);
                Ok(())
            }
            // No packet can be made to have a digest.
            Self::Digest | Self::TextDigest => out.write_char('-'),
            _ => write!(out, "{}", value(bytes)),
        };
        Some(())
    }
}
