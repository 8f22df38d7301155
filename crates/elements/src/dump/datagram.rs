//! What a line says of an IPv4 packet, of which maybe not all is there.

use alloc::string::String;
use core::fmt::{self, Write};
use core::net::Ipv4Addr;

use sprat_click::arguments::IpProtocol;
use sprat_packet::Packet;
use sprat_packet::headers::protocol::{TCP, UDP};
use sprat_packet::headers::{Ipv4, icmp_type, tcp_flags, unreachable_code};

use crate::icmp::names;

/// An IPv4 header, and as much as is there of what it says follows it.
pub(super) struct Datagram<'a> {
    pub(super) header: &'a [u8; 20],
    segment: &'a [u8],
}

/// Source and destination.
pub(super) struct Ends(Ipv4Addr, Ipv4Addr);

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.0, self.1)
    }
}

fn half_word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl<'a> Datagram<'a> {
    /// That of a packet; `None` where its header is cut off.
    pub(super) fn of(packet: &'a Packet) -> Option<Self> {
        let header = packet.network_header()?.first_chunk()?;
        let mut datagram = Self {
            header,
            segment: packet.transport_header().unwrap_or_default(),
        };
        let length = usize::try_from(datagram.payload_length()).unwrap_or(0);
        datagram.segment = datagram.segment.get(..length).unwrap_or(datagram.segment);
        Some(datagram)
    }

    fn field(&self, at: usize) -> u16 {
        half_word(self.header, at).unwrap_or(0)
    }

    pub(super) fn length(&self) -> u16 {
        self.field(2)
    }

    pub(super) fn identification(&self) -> u16 {
        self.field(4)
    }

    fn header_length(&self) -> i32 {
        i32::from(self.header[0] & 15) * 4
    }

    /// Bytes that follow the header, as far as it says; below zero where it lies.
    fn payload_length(&self) -> i32 {
        i32::from(self.length()) - self.header_length()
    }

    fn is_first_fragment(&self) -> bool {
        self.field(6) & Ipv4::OFFSET_MASK == 0
    }

    fn source(&self) -> Ipv4Addr {
        word(self.header, 12).unwrap_or(0).into()
    }

    fn destination(&self) -> Ipv4Addr {
        word(self.header, 16).unwrap_or(0).into()
    }

    pub(super) fn ends(&self) -> Ends {
        Ends(self.source(), self.destination())
    }

    /// Bytes of the header of TCP or UDP, as far as it says.
    pub(super) fn transport_header(&self) -> usize {
        match self.header[9] {
            _ if !self.is_first_fragment() => 0,
            TCP => usize::from(self.segment.get(12).copied().unwrap_or(0) >> 4) * 4,
            UDP => 8,
            _ => 0,
        }
    }

    /// Writes addresses and ports; whether there are ports.
    fn write_ports(&self, line: &mut String, name: &str) -> Result<bool, fmt::Error> {
        let ports = half_word(self.segment, 0).zip(half_word(self.segment, 2));
        match ports {
            _ if !self.is_first_fragment() => write!(line, "{}: {name}", self.ends())?,
            None => write!(line, "{}: truncated-{name}", self.ends())?,
            Some((from, to)) => {
                let (source, destination) = (self.source(), self.destination());
                write!(line, "{source}.{from} > {destination}.{to}: ")?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes what a TCP segment in a packet of `length` bytes says.
    pub(super) fn write_tcp(&self, line: &mut String, length: usize) -> fmt::Result {
        if !self.write_ports(line, "tcp")? {
            return Ok(());
        }
        let segment = self.segment;
        let Some(&[offset, flags]) = segment.get(12..).and_then(<[u8]>::first_chunk) else {
            return line.write_str("truncated-tcp");
        };
        let mut carried = self.payload_length() - i32::from(offset >> 4) * 4;
        let begin = line.len();
        for (flag, letter, counts) in [
            (tcp_flags::SYN, 'S', true),
            (tcp_flags::FIN, 'F', true),
            (tcp_flags::RST, 'R', false),
            (tcp_flags::PSH, 'P', false),
        ] {
            if flags & flag != 0 {
                line.push(letter);
                carried += i32::from(counts);
            }
        }
        if line.len() == begin {
            line.push('.');
        }
        let sequence = word(segment, 4).unwrap_or(0);
        let end = sequence.wrapping_add_signed(carried);
        let ip_length = self.length();
        write!(line, " {sequence}:{end}({carried},{length},{ip_length})")?;
        if flags & tcp_flags::ACK != 0 {
            write!(line, " ack {}", word(segment, 8).unwrap_or(0))?;
        }
        match half_word(segment, 14) {
            Some(window) => write!(line, " win {window}"),
            None => line.write_str("truncated-tcp"),
        }
    }

    pub(super) fn write_udp(&self, line: &mut String) -> fmt::Result {
        if !self.write_ports(line, "udp")? {
            return Ok(());
        }
        match half_word(self.segment, 4).filter(|_| self.segment.len() >= 8) {
            Some(length) => write!(line, "udp {length}"),
            None => line.write_str("truncated-udp"),
        }
    }

    /// Writes what an ICMP message says. `swap`: whether its numbers are in network byte order.
    pub(super) fn write_icmp(&self, line: &mut String, swap: bool) -> fmt::Result {
        const TRUNCATED: &str = "truncated-icmp";
        if !self.is_first_fragment() {
            return line.write_str("icmp");
        }
        let message = self.segment;
        let Some(&[kind, code]) = message.first_chunk() else {
            // What the other lines begin with tells nothing then.
            return line.write_str(TRUNCATED);
        };
        match kind {
            icmp_type::ECHO | icmp_type::ECHO_REPLY => {
                let name = names::type_name(kind).unwrap_or_default();
                write!(line, "icmp {name} ")?;
                let Some((identifier, sequence)) = half_word(message, 4).zip(half_word(message, 6))
                else {
                    return line.write_str(TRUNCATED);
                };
                let shown = |number: u16| if swap { number } else { number.swap_bytes() };
                write!(line, "({}, {})", shown(identifier), shown(sequence))
            }
            icmp_type::UNREACHABLE => self.write_unreachable(line, code),
            _ => {
                match names::type_name(kind) {
                    Some(name) => write!(line, "icmp {name}")?,
                    None => write!(line, "icmp type {kind}")?,
                }
                match names::code_name(kind, code) {
                    Some(name) => write!(line, " {name}"),
                    None if code != 0 => write!(line, " code {code}"),
                    None => Ok(()),
                }
            }
        }
    }

    /// Writes what could not be reached, and why.
    fn write_unreachable(&self, line: &mut String, code: u8) -> fmt::Result {
        const TRUNCATED: &str = "truncated-icmp";
        const PACKET: usize = 8;
        let packet = self.segment.get(PACKET..).unwrap_or_default();
        let Some(header) = packet.first_chunk::<20>() else {
            line.push_str("icmp unreachable ");
            write_code(line, code)?;
            return write!(line, " {TRUNCATED}");
        };
        let address = Ipv4Addr::from(word(header, 16).unwrap_or(0));
        write!(line, "icmp {address} unreachable ")?;
        write_code(line, code)?;
        let protocol = IpProtocol(header[9]).name();
        match (code, protocol) {
            (unreachable_code::PROTOCOL | unreachable_code::PORT, Some(name)) => {
                write!(line, " {name}")?;
            }
            (unreachable_code::PROTOCOL, None) => write!(line, " {}", header[9])?,
            (unreachable_code::PORT, None) => write!(line, " protocol {}", header[9])?,
            (unreachable_code::NEED_FRAGMENT, _) => {
                let unit = half_word(self.segment, 6).filter(|unit| *unit != 0);
                return unit.map_or(Ok(()), |unit| write!(line, " (mtu {unit})"));
            }
            _ => return Ok(()),
        }
        if code != unreachable_code::PORT {
            return Ok(());
        }
        let ports = packet.get(usize::from(header[0] & 15) * 4..);
        match ports.and_then(|ports| half_word(ports, 2)) {
            Some(port) => write!(line, "/{port}"),
            None => line.write_str(TRUNCATED),
        }
    }

    /// Writes which fragment it is, where it is one.
    pub(super) fn write_fragment(&self, line: &mut String) -> fmt::Result {
        let field = self.field(6);
        if field & (Ipv4::MORE_FRAGMENTS | Ipv4::OFFSET_MASK) == 0 {
            return Ok(());
        }
        let more = if field & Ipv4::MORE_FRAGMENTS == 0 {
            ""
        } else {
            "+"
        };
        let at = (field & Ipv4::OFFSET_MASK) * 8;
        let length = self.payload_length();
        write!(
            line,
            " (frag {}:{length}@{at}{more})",
            self.identification()
        )
    }
}

/// Writes why something could not be reached.
fn write_code(line: &mut String, code: u8) -> fmt::Result {
    match names::code_name(icmp_type::UNREACHABLE, code) {
        Some(name) => line.write_str(name),
        None => write!(line, "code {code}"),
    }
}
