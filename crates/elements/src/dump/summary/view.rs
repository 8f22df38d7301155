use core::fmt;

use sprat_packet::Packet;
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::headers::protocol::{DCCP, ICMP, SCTP, TCP, UDP, UDP_LITE};
use sprat_packet::headers::{HeaderError, Icmp, Ipv4, Tcp, Udp};

/// A packet as the fields see it.
pub(super) struct View<'a> {
    pub(super) packet: &'a Packet,
    /// Whether the extra length annotation counts into lengths.
    pub(super) extra_length: bool,
    /// The IPv4 header, where one is marked that is right.
    pub(super) ip: Option<Ipv4<'a>>,
}

/// What is wrong with a packet, as `!bad` lines say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    NoHeader,
    TruncatedHeader,
    Version(u8),
    HeaderLength(usize),
    TruncatedLength,
    TruncatedTransport(&'static str),
    TcpHeaderLength,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("no IP header"),
            Self::TruncatedHeader => f.write_str("truncated IP header"),
            Self::Version(version) => write!(f, "IP version {version}"),
            Self::HeaderLength(length) => write!(f, "IP header length {length}"),
            Self::TruncatedLength => f.write_str("truncated IP length"),
            Self::TruncatedTransport(protocol) => write!(f, "truncated {protocol} header"),
            Self::TcpHeaderLength => f.write_str("TCP header length"),
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(packet: &'a Packet, extra_length: bool) -> Self {
        Self {
            packet,
            extra_length,
            ip: packet
                .network_header()
                .and_then(|bytes| Ipv4::new(bytes).ok()),
        }
    }

    /// Bytes of the original packet that are not here.
    pub(super) fn extra(&self) -> usize {
        if self.extra_length {
            self.packet.annotations().word(EXTRA_LENGTH) as usize
        } else {
            0
        }
    }

    /// The transport header and what follows it, of the packet's protocol, in a first fragment.
    fn segment(&self, protocol: u8) -> Option<&'a [u8]> {
        let ip = self.ip.as_ref()?;
        (ip.protocol() == protocol && ip.is_first_fragment()).then(|| ip.payload())
    }

    pub(super) fn tcp(&self) -> Option<Tcp<'a>> {
        Tcp::new(self.segment(TCP)?).ok()
    }

    pub(super) fn udp(&self) -> Option<Udp<'a>> {
        Udp::new(self.segment(UDP)?).ok()
    }

    pub(super) fn icmp(&self) -> Option<Icmp<'a>> {
        Icmp::new(self.segment(ICMP)?).ok()
    }

    /// The source and destination ports, of protocols that begin with ports.
    pub(super) fn ports(&self) -> Option<[u16; 2]> {
        let protocol = self.ip.as_ref()?.protocol();
        if !matches!(protocol, TCP | UDP | DCCP | SCTP | UDP_LITE) {
            return None;
        }
        let &[a, b, c, d] = self.segment(protocol)?.first_chunk()?;
        Some([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
    }

    /// Bytes of IP, TCP and UDP headers; zero in a packet that is not IP, `None` where the
    /// transport header is not whole.
    fn headers_length(&self) -> Option<usize> {
        let Some(ip) = &self.ip else { return Some(0) };
        let transport = match ip.protocol() {
            _ if !ip.is_first_fragment() => 0,
            TCP => self.tcp()?.header_length(),
            UDP => {
                self.udp()?;
                8
            }
            _ => 0,
        };
        Some(ip.header_length() + transport)
    }

    /// What follows the IP, TCP or UDP header; the whole of a packet that is not IP.
    pub(super) fn payload(&self) -> Option<&'a [u8]> {
        let Some(ip) = &self.ip else {
            return Some(self.packet.data());
        };
        let skip = self.headers_length()? - ip.header_length();
        ip.payload().get(skip..)
    }

    /// How long the payload was on the wire.
    pub(super) fn payload_length(&self) -> Option<usize> {
        match &self.ip {
            Some(ip) => usize::from(ip.total_length()).checked_sub(self.headers_length()?),
            None => Some(self.packet.len() + self.extra()),
        }
    }

    /// What is wrong with the packet. `lengths`: also whether the bytes of its IP length are
    /// there or accounted for.
    pub(super) fn bad(&self, lengths: bool) -> Option<Bad> {
        let Some(bytes) = self.packet.network_header() else {
            return Some(Bad::NoHeader);
        };
        let ip = match Ipv4::new(bytes) {
            Ok(ip) => ip,
            Err(error) => {
                let first = bytes.first().copied().unwrap_or(0);
                return Some(match error {
                    HeaderError::Version => Bad::Version(first >> 4),
                    HeaderError::HeaderLength => Bad::HeaderLength(usize::from(first & 15) * 4),
                    _ => Bad::TruncatedHeader,
                });
            }
        };
        let present = bytes.len() + self.extra();
        if lengths && present < usize::from(ip.total_length()) {
            return Some(Bad::TruncatedLength);
        }
        if let Some(segment) = self.segment(TCP)
            && let Err(error) = Tcp::new(segment)
        {
            return Some(match error {
                HeaderError::HeaderLength => Bad::TcpHeaderLength,
                _ => Bad::TruncatedTransport("TCP"),
            });
        }
        if self.segment(UDP).is_some_and(|segment| segment.len() < 8) {
            return Some(Bad::TruncatedTransport("UDP"));
        }
        if self.segment(ICMP).is_some_and(|segment| segment.len() < 8) {
            return Some(Bad::TruncatedTransport("ICMP"));
        }
        None
    }
}
