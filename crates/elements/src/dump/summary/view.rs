use core::cell::Cell;
use core::fmt;

use sprat_packet::Packet;
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::headers::protocol::{DCCP, ICMP, TCP, UDP, UDP_LITE};
use sprat_packet::headers::{Ipv4, Tcp};

use super::tcp_options::Shown;

/// A packet as the fields see it. Of its headers, it shows as much as is there.
pub(super) struct View<'a> {
    pub(super) packet: &'a Packet,
    /// Whether the extra length annotation counts into lengths.
    extra_length: bool,
    /// What the annotation counts beyond the length that IP tells.
    extra: u32,
    /// The IP header and what follows it, up to the IP length; `None` where the header is wrong.
    network: Option<&'a [u8]>,
    /// The transport header and what follows it, up to the IP length.
    transport: &'a [u8],
    /// Bytes beyond the IP length.
    padding: usize,
    /// Whether the TCP header says that it is shorter than it can be.
    bad_tcp: bool,
    /// The first thing that turned out to be wrong.
    bad: Cell<Option<Bad>>,
}

/// What a field needs of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needed {
    Ip,
    Tcp,
    Udp,
    Icmp,
    /// One of the protocols with ports.
    Ports,
}

/// What is wrong with a packet, as `!bad` lines say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Ethernet,
    NoHeader,
    TruncatedHeader,
    UncapturedHeader,
    Version(u8),
    /// In words of four bytes.
    HeaderLength(u8),
    Length(usize),
    Missing(usize),
    Fragmented(Needed),
    Truncated(Needed),
    TcpHeaderLength(u8),
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "IP",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Icmp => "ICMP",
            Self::Ports => "TCP/UDP",
        })
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ethernet => f.write_str("Ethernet header"),
            Self::NoHeader => f.write_str("no IP header"),
            Self::TruncatedHeader => f.write_str("truncated IP header"),
            Self::UncapturedHeader => f.write_str("truncated IP header capture"),
            Self::Version(version) => write!(f, "IP version {version}"),
            Self::HeaderLength(words) => write!(f, "IP header length {words}"),
            Self::Length(length) => write!(f, "IP length {length}"),
            Self::Missing(bytes) => write!(f, "truncated IP missing {bytes}"),
            Self::Fragmented(protocol) => write!(f, "fragmented {protocol} header"),
            Self::Truncated(protocol) => write!(f, "truncated {protocol} header"),
            Self::TcpHeaderLength(words) => write!(f, "TCP header length {words}"),
        }
    }
}

/// What a TCP header of 32 bytes begins its options with if they are a timestamp only, as RFC 7323
/// recommends: nothing, nothing, a timestamp of ten bytes.
const ONLY_TIMESTAMP: [u8; 4] = [1, 1, 8, 10];

/// Bytes of an IP header that its checks need.
const CHECKED: usize = 4;

/// The 16 bits at `at`.
pub(super) fn half_word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

/// The 32 bits at `at`.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

impl<'a> View<'a> {
    /// Looks at a packet. `careful`: whether it is wrong of it to be shorter than its IP length.
    pub(super) fn new(packet: &'a Packet, extra_length: bool, careful: bool) -> Self {
        let mut view = Self {
            packet,
            extra_length,
            extra: packet.annotations().word(EXTRA_LENGTH),
            network: None,
            transport: &[],
            padding: 0,
            bad_tcp: false,
            bad: Cell::new(None),
        };
        if let Some(bytes) = packet.network_header() {
            view.look(bytes, careful);
        }
        view
    }

    /// Checks the headers from the IP header on.
    fn look(&mut self, bytes: &'a [u8], careful: bool) {
        let (length, words) = match bytes.get(..CHECKED) {
            None => return self.wrong(Bad::TruncatedHeader),
            Some(&[first, _, high, low]) => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                let words = first & 15;
                if first >> 4 != 4 {
                    return self.wrong(Bad::Version(first >> 4));
                } else if words < 5 {
                    return self.wrong(Bad::HeaderLength(words));
                } else if length < usize::from(words) * 4 {
                    return self.wrong(Bad::Length(length));
                }
                (length, words)
            }
            Some(_) => return,
        };
        self.padding = bytes.len().saturating_sub(length);
        let present = bytes.len() + self.extra as usize;
        if careful && present < length {
            self.wrong(Bad::Missing(length - present));
        }
        let network = &bytes[..bytes.len() - self.padding];
        self.network = Some(network);
        let transport = self.packet.transport_header().unwrap_or_default();
        self.transport = transport
            .get(..transport.len().saturating_sub(self.padding))
            .filter(|_| network.len() > usize::from(words) * 4)
            .unwrap_or_default();
        // The IP length counts all that it covers, whether it is here or not.
        let whole = network.len() + self.padding + self.extra as usize;
        self.extra = match u32::try_from(whole.saturating_sub(usize::from(u16::MAX))) {
            Ok(beyond) if length == usize::from(u16::MAX) => beyond,
            _ => 0,
        };
        if let Some(&offset) = self.of_protocol(TCP).and_then(|tcp| tcp.get(12))
            && offset >> 4 < 5
        {
            self.wrong(Bad::TcpHeaderLength(offset >> 4));
            self.bad_tcp = true;
        }
    }

    fn wrong(&self, bad: Bad) {
        if self.bad.get().is_none() {
            self.bad.set(Some(bad));
        }
    }

    /// What is wrong with the packet, as far as fields have looked.
    pub(super) fn bad(&self) -> Option<Bad> {
        self.bad.get()
    }

    /// What the extra length annotation is once IP has told its length.
    pub(super) fn extra(&self) -> u32 {
        self.extra
    }

    /// That, where it counts.
    pub(super) fn counted_extra(&self) -> u32 {
        if self.extra_length { self.extra } else { 0 }
    }

    /// Bytes of the packet, without those behind the IP length.
    pub(super) fn len(&self) -> usize {
        self.packet.len().saturating_sub(self.padding)
    }

    /// Notes that a field is not there.
    fn missing(&self, needed: Needed) {
        if self.bad.get().is_some() {
            return;
        }
        let Some(ip) = self.network else {
            return self.wrong(Bad::NoHeader);
        };
        let protocol = ip.get(9).copied();
        let matches = match needed {
            Needed::Ip => return self.wrong(Bad::UncapturedHeader),
            Needed::Tcp => protocol == Some(TCP),
            Needed::Udp => protocol == Some(UDP),
            Needed::Icmp => protocol == Some(ICMP),
            Needed::Ports => matches!(protocol, Some(TCP | UDP)),
        };
        // That it is of another protocol is nothing wrong.
        if protocol.is_some() && !matches {
            return;
        }
        self.wrong(if self.is_first_fragment() {
            Bad::Truncated(needed)
        } else {
            Bad::Fragmented(needed)
        });
    }

    /// The IP header and what follows it, if that is `count` bytes at least.
    pub(super) fn ip(&self, count: usize) -> Option<&'a [u8]> {
        let ip = self.network.filter(|ip| ip.len() >= count);
        if ip.is_none() {
            self.missing(Needed::Ip);
        }
        ip
    }

    /// The options of the IP header.
    pub(super) fn ip_options(&self) -> Option<&'a [u8]> {
        let length = usize::from(self.ip(1)?[0] & 15) * 4;
        Some(match length {
            0..=20 => &[],
            length => &self.ip(length)?[20..length],
        })
    }

    /// The options of the TCP header. Where some are to be shown, a header that has the timestamp
    /// only may lack it.
    pub(super) fn tcp_options(&self, shown: Shown) -> Option<&'a [u8]> {
        let segment = self.tcp(13)?;
        let length = usize::from(segment[12] >> 4) * 4;
        let timestamp = shown != Shown::All
            && length == 32
            && segment.get(20..24) == Some(ONLY_TIMESTAMP.as_slice());
        Some(match length {
            0..=20 => &[],
            _ if timestamp => &[],
            length => &self.tcp(length)?[20..length],
        })
    }

    /// The IP header, where all of it is there.
    pub(super) fn ip_header(&self) -> Option<Ipv4<'a>> {
        Ipv4::new(self.network?).ok()
    }

    pub(super) fn is_ip(&self) -> bool {
        self.network.is_some()
    }

    fn is_first_fragment(&self) -> bool {
        let offset = self.network.and_then(|ip| half_word(ip, 6)).unwrap_or(0);
        offset & Ipv4::OFFSET_MASK == 0
    }

    fn of_protocol(&self, protocol: u8) -> Option<&'a [u8]> {
        let found = self.network?.get(9) == Some(&protocol) && self.is_first_fragment();
        (found && !self.transport.is_empty()).then_some(self.transport)
    }

    fn segment(&self, protocol: u8, needed: Needed, count: usize) -> Option<&'a [u8]> {
        let segment = self
            .of_protocol(protocol)
            .filter(|segment| segment.len() >= count && !(protocol == TCP && self.bad_tcp));
        if segment.is_none() {
            self.missing(needed);
        }
        segment
    }

    /// The TCP header and what follows it, if that is `count` bytes at least.
    pub(super) fn tcp(&self, count: usize) -> Option<&'a [u8]> {
        self.segment(TCP, Needed::Tcp, count)
    }

    pub(super) fn udp(&self, count: usize) -> Option<&'a [u8]> {
        self.segment(UDP, Needed::Udp, count)
    }

    pub(super) fn icmp(&self, count: usize) -> Option<&'a [u8]> {
        self.segment(ICMP, Needed::Icmp, count)
    }

    /// The whole TCP header.
    pub(super) fn tcp_header(&self) -> Option<Tcp<'a>> {
        Tcp::new(self.of_protocol(TCP)?).ok()
    }

    /// The port at `at`, of protocols that begin with ports.
    pub(super) fn port(&self, at: usize) -> Option<u16> {
        let port = [TCP, UDP, DCCP, UDP_LITE]
            .into_iter()
            .find_map(|protocol| self.of_protocol(protocol))
            .and_then(|segment| half_word(segment, at));
        if port.is_none() {
            self.missing(Needed::Ports);
        }
        port
    }

    /// The Ethernet header right before the network header, or at the front of a packet that has
    /// none.
    pub(super) fn ethernet(&self) -> Option<&'a [u8]> {
        const HEADER: usize = 14;
        let packet = self.packet;
        let header = match (packet.mac_offset(), packet.network_offset()) {
            (Some(mac), Some(network)) => packet
                .mac_header()
                .filter(|_| network - mac == HEADER.cast_signed()),
            (None, Some(network)) => {
                Some(packet.data()).filter(|_| network == HEADER.cast_signed())
            }
            (Some(_), None) => packet.mac_header().filter(|mac| mac.len() == HEADER),
            (None, None) => Some(packet.data()).filter(|data| data.len() == HEADER),
        };
        let header = header.and_then(|header| header.get(..HEADER));
        if header.is_none() {
            self.wrong(Bad::Ethernet);
        }
        header
    }

    /// Where in the frame the payload begins, counted from the network header, in a packet that
    /// is IP.
    fn payload_offset(&self) -> usize {
        let header = self.packet.network_header_len();
        let transport = match self.network.and_then(|ip| ip.get(9)) {
            _ if !self.is_first_fragment() => 0,
            Some(&TCP) => match self.transport.get(12) {
                Some(offset) if offset >> 4 >= 5 => usize::from(offset >> 4) * 4,
                _ => 20,
            },
            Some(&(UDP | UDP_LITE)) => 8,
            _ => 0,
        };
        header + transport
    }

    /// What follows the IP, TCP or UDP header; the whole of a packet that is not IP. `None` where
    /// there must be some and none of it is there.
    pub(super) fn payload(&self) -> Option<&'a [u8]> {
        let Some(ip) = self.network else {
            return Some(self.packet.data());
        };
        let at = self.payload_offset();
        if self.ip_length() == at {
            return Some(&[]);
        }
        let there = ip.len() + self.padding > at;
        there.then(|| ip.get(at..).unwrap_or_default())
    }

    /// The length that the IP header tells.
    fn ip_length(&self) -> usize {
        let length = self.network.and_then(|ip| half_word(ip, 2));
        usize::from(length.unwrap_or(0))
    }

    /// How long the payload was on the wire. Where the IP length ends before it begins, the
    /// difference is negative, and wraps.
    pub(super) fn payload_length(&self) -> u32 {
        let length = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        match self.network {
            Some(_) => length(self.ip_length())
                .wrapping_sub(length(self.payload_offset()))
                .wrapping_add(self.counted_extra()),
            None => length(self.len()).wrapping_add(self.extra),
        }
    }
}
