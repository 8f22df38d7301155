use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_packet::annotations::{AGGREGATE, EXTRA_LENGTH, EXTRA_PACKETS, FIRST_TIMESTAMP};
use sprat_packet::headers::protocol::{DCCP, ICMP, TCP, UDP, UDP_LITE};
use sprat_packet::headers::{
    EthernetFields, Icmp, IcmpMut, Ipv4, Ipv4Mut, TcpMut, UdpMut, ethertype,
};
use sprat_packet::{DEFAULT_HEADROOM, Packet, Pool};

use super::layout::{Header, LONGEST_HEADER, Layout, SHORTEST_HEADER};
use crate::icmp::names;

/// The addresses, ports and protocol of packets whose line does not say them.
#[derive(Clone, Copy)]
pub(super) struct Flow {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) protocol: u8,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            source: Ipv4Addr::UNSPECIFIED,
            destination: Ipv4Addr::UNSPECIFIED,
            source_port: 0,
            destination_port: 0,
            protocol: TCP,
        }
    }
}

/// The time to live of packets whose line does not say it.
const TIME_TO_LIVE: u8 = 100;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// A packet to be, as a line describes it. One is used for line after line, so that reading
/// allocates nothing once its buffers have grown.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) flow: Flow,
    /// Whether the line says anything of IP or of what IP carries. Else there is no IP header.
    pub(super) network: bool,
    /// Nanoseconds since the Unix epoch.
    pub(super) timestamp: i64,
    pub(super) first_timestamp: Option<i64>,
    /// How many packets the line stands for.
    pub(super) count: u32,
    pub(super) paint: u8,
    pub(super) aggregate: u32,
    /// Bytes of the whole packet, if IP does not say how many.
    pub(super) wire_length: Option<u32>,
    /// Where the line says anything of a link header: its fields.
    pub(super) ethernet: Option<EthernetFields>,
    pub(super) type_of_service: u8,
    pub(super) identification: u16,
    pub(super) flags_and_offset: u16,
    pub(super) time_to_live: u8,
    pub(super) ip_length: Option<u32>,
    pub(super) ip_header_length: Option<usize>,
    pub(super) ip_checksum: u16,
    /// Whether the line says what the IP options are, if only that there are none.
    pub(super) has_ip_options: bool,
    pub(super) ip_options: Vec<u8>,
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    /// With the nonce sum, which stands before the byte of the others.
    pub(super) tcp_flags: u16,
    pub(super) window: u16,
    pub(super) urgent: u16,
    pub(super) tcp_header_length: Option<usize>,
    pub(super) tcp_checksum: u16,
    /// Whether the line says what the TCP options are, if only that there are none.
    pub(super) has_tcp_options: bool,
    pub(super) tcp_options: Vec<u8>,
    pub(super) udp_length: Option<u16>,
    pub(super) udp_checksum: u16,
    /// Whether the line says anything of ICMP.
    pub(super) icmp: bool,
    pub(super) icmp_kind: u8,
    pub(super) icmp_code: u8,
    pub(super) icmp_checksum: u16,
    pub(super) icmp_identifier: u16,
    /// The sequence number, or what else stands in its place.
    pub(super) icmp_sequence: u16,
    pub(super) payload: Vec<u8>,
    pub(super) payload_length: Option<u32>,
}

/// The part of a TCP header that says how long the header is.
const TCP_OFFSET_END: usize = 13;

impl Draft {
    /// Forgets the last line.
    pub(super) fn reset(&mut self, flow: Flow, aggregate: u32) {
        let buffer = |mut bytes: Vec<u8>| {
            bytes.clear();
            bytes
        };
        *self = Self {
            flow,
            aggregate,
            count: 1,
            time_to_live: TIME_TO_LIVE,
            ip_options: buffer(core::mem::take(&mut self.ip_options)),
            tcp_options: buffer(core::mem::take(&mut self.tcp_options)),
            payload: buffer(core::mem::take(&mut self.payload)),
            ..Self::default()
        };
    }

    fn is_first_fragment(&self) -> bool {
        self.flags_and_offset & Ipv4::OFFSET_MASK == 0
    }

    /// Whether the packet is IP, as far as its link header says.
    fn is_ip(&self) -> bool {
        let kind = self.ethernet.as_ref().map(|link| link.ethertype);
        self.network && matches!(kind, None | Some(ethertype::IPV4 | ethertype::IPV6))
    }

    /// Bytes of the transport header as such; none where the packet is a later fragment.
    fn transport_length(&self) -> usize {
        match self.flow.protocol {
            _ if !self.is_first_fragment() => 0,
            TCP => SHORTEST_HEADER,
            UDP | UDP_LITE | ICMP => 8,
            DCCP => 12,
            _ => 0,
        }
    }

    fn layout(&self) -> Layout {
        let link = if self.ethernet.is_some() { ETHERNET } else { 0 };
        let ip = Header::new(self.ip_header_length, &self.ip_options);
        let wanted = self.ip_length.map(|length| link + length as usize);
        let wanted = wanted
            .or(self.wire_length.map(|length| length as usize))
            .filter(|wanted| *wanted > 0);
        let natural = self.transport_length();
        let mut layout = Layout {
            link,
            ip,
            transport: Header {
                room: natural,
                field: natural,
            },
            // A header that would go beyond the length is cut off there.
            segment: wanted.map_or(natural, |wanted| {
                natural.min(wanted.saturating_sub(link + ip.room))
            }),
            wanted,
        };
        if natural == 0 {
            // A later fragment, or a protocol that nothing is known of.
        } else if self.flow.protocol == TCP {
            layout.transport = Header::new(self.tcp_header_length, &self.tcp_options);
            if layout.transport.room > SHORTEST_HEADER {
                layout.segment = layout.transport.room;
            }
        } else if self.flow.protocol == ICMP && self.icmp {
            layout.segment = names::header_length(self.icmp_kind);
        } else if self.flow.protocol == UDP && self.udp_length.is_some() {
            layout.segment = natural;
        }
        if !self.payload.is_empty() {
            self.account(&mut layout, self.payload.len());
            let at = self.payload_offset(&layout);
            if layout.segment >= at {
                layout.segment = layout.segment.max(at + self.payload.len());
            }
        }
        if let Some(length) = self.payload_length {
            self.account(&mut layout, length as usize);
        }
        layout
    }

    /// Where in the segment the payload begins. Only TCP, UDP and UDP-Lite have a header before
    /// it that is no part of it.
    fn payload_offset(&self, layout: &Layout) -> usize {
        match self.flow.protocol {
            _ if !self.is_first_fragment() => 0,
            TCP if layout.segment >= TCP_OFFSET_END => layout.transport.field.max(SHORTEST_HEADER),
            TCP => SHORTEST_HEADER,
            UDP | UDP_LITE => 8,
            _ => 0,
        }
    }

    /// Has the packet carry `payload` bytes: by its length if nothing else says that, else by
    /// headers that are longer by the bytes that would be left over.
    fn account(&self, layout: &mut Layout, payload: usize) {
        let end = layout.link + layout.ip.room + self.payload_offset(layout) + payload;
        let Some(wanted) = layout.wanted else {
            layout.wanted = Some(end);
            return;
        };
        let mut over = wanted.saturating_sub(end);
        if self.flow.protocol == TCP && self.is_first_fragment() && !self.has_tcp_options {
            let grown = layout.transport.grow(over);
            layout.segment += grown;
            over -= grown;
        }
        if !self.has_ip_options && self.ip_header_length.is_none() {
            layout.ip.grow(over);
        }
    }

    /// The packet that the line describes. `checksums`: whether checksums are computed, and all
    /// bytes of the IP length are there.
    pub(super) fn packet(&self, pool: &Pool, checksums: bool) -> Packet {
        let mut packet = if self.is_ip() {
            self.ip_packet(pool, checksums)
        } else {
            self.link_packet(pool)
        };
        packet.set_timestamp(self.timestamp);
        packet.set_paint(self.paint);
        packet.set_annotation_word(AGGREGATE, self.aggregate);
        packet.set_annotation_word(EXTRA_PACKETS, self.count.saturating_sub(1));
        if let Some(first) = self.first_timestamp {
            packet.set_annotation_double(FIRST_TIMESTAMP, first.cast_unsigned());
        }
        packet
    }

    /// A packet without an IP header.
    fn link_packet(&self, pool: &Pool) -> Packet {
        let link = if self.ethernet.is_some() { ETHERNET } else { 0 };
        let length = link + self.payload.len();
        let mut packet = pool.packet_zeroed(DEFAULT_HEADROOM, length);
        packet.data_mut()[link..].copy_from_slice(&self.payload);
        self.fill_link(&mut packet);
        let wanted = self.wire_length.unwrap_or(0) as usize;
        let wanted = match self.payload_length {
            Some(payload) => link + payload as usize,
            None => wanted,
        };
        set_extra_length(&mut packet, wanted.saturating_sub(length));
        packet
    }

    fn fill_link(&self, packet: &mut Packet) {
        if let Some(ethernet) = &self.ethernet {
            packet.data_mut()[..ETHERNET].copy_from_slice(&ethernet.to_bytes());
            packet.set_mac_header(0);
            packet.set_network_header(ETHERNET, 0);
        }
    }

    fn ip_packet(&self, pool: &Pool, checksums: bool) -> Packet {
        let layout = self.layout();
        let begin = layout.link + layout.ip.room;
        let mut present = begin + layout.segment;
        let length = layout.wanted.map_or(0, |wanted| {
            wanted
                .saturating_sub(layout.link)
                .min(usize::from(u16::MAX))
        });
        let length = match length {
            0 => present - layout.link,
            length => length,
        };
        if checksums {
            present = present.max(layout.link + length);
        }
        // Headers that are not all there are written in full first.
        let whole = present.max(begin + LONGEST_HEADER);
        let mut packet = pool.packet_zeroed(DEFAULT_HEADROOM, whole);
        self.fill_link(&mut packet);
        self.fill(&mut packet.data_mut()[layout.link..], &layout, length);
        packet.truncate(present);
        if checksums {
            fill_checksums(&mut packet.data_mut()[layout.link..]);
        }
        packet.set_network_header(layout.link, layout.ip.room);
        packet.set_destination(self.flow.destination);
        let wanted = layout.wanted.unwrap_or(0);
        set_extra_length(&mut packet, wanted.saturating_sub(present));
        packet
    }

    /// Writes headers and payload of an IP packet.
    fn fill(&self, data: &mut [u8], layout: &Layout, length: usize) {
        // At most 60 bytes and 65,535 bytes.
        let words = u8::try_from(layout.ip.field / 4).unwrap_or(15);
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        let room = u16::try_from(layout.ip.room).unwrap_or(u16::MAX);
        // The view over the header needs a length that can be; the one that was said comes last.
        data[0] = 0x45;
        if let Ok(mut ip) = Ipv4Mut::new(data) {
            ip.set_type_of_service(self.type_of_service);
            ip.set_total_length(length);
            ip.set_identification(self.identification);
            ip.set_flags_and_offset(self.flags_and_offset);
            ip.set_time_to_live(self.time_to_live);
            ip.set_protocol(self.flow.protocol);
            ip.set_checksum(self.ip_checksum);
            ip.set_source(self.flow.source);
            ip.set_destination(self.flow.destination);
        }
        data[0] = 0x40 | words;
        data[20..20 + self.ip_options.len()].copy_from_slice(&self.ip_options);
        let segment = &mut data[layout.ip.room..];
        if self.is_first_fragment() {
            self.fill_transport(segment, layout, length.wrapping_sub(room));
        }
        let at = self.payload_offset(layout);
        if let Some(payload) = segment.get_mut(at..at + self.payload.len()) {
            payload.copy_from_slice(&self.payload);
        }
    }

    fn fill_transport(&self, segment: &mut [u8], layout: &Layout, length: u16) {
        match self.flow.protocol {
            TCP => {
                let [nonce, flags] = self.tcp_flags.to_be_bytes();
                segment[12] = 0x50;
                segment[20..20 + self.tcp_options.len()].copy_from_slice(&self.tcp_options);
                if let Ok(mut tcp) = TcpMut::new(segment) {
                    tcp.set_source_port(self.flow.source_port);
                    tcp.set_destination_port(self.flow.destination_port);
                    tcp.set_sequence(self.sequence);
                    tcp.set_acknowledgement(self.acknowledgement);
                    tcp.set_flags(flags);
                    tcp.set_window(self.window);
                    tcp.set_checksum(self.tcp_checksum);
                    tcp.set_urgent(self.urgent);
                }
                let words = u8::try_from(layout.transport.field / 4).unwrap_or(15);
                segment[12] = words << 4 | nonce & 15;
            }
            UDP | UDP_LITE => {
                if let Ok(mut udp) = UdpMut::new(segment) {
                    udp.set_source_port(self.flow.source_port);
                    udp.set_destination_port(self.flow.destination_port);
                    let otherwise = if self.flow.protocol == UDP { length } else { 0 };
                    udp.set_length(self.udp_length.filter(|it| *it > 0).unwrap_or(otherwise));
                    udp.set_checksum(self.udp_checksum);
                }
            }
            DCCP => {
                segment[..2].copy_from_slice(&self.flow.source_port.to_be_bytes());
                segment[2..4].copy_from_slice(&self.flow.destination_port.to_be_bytes());
            }
            ICMP => {
                if let Ok(mut icmp) = IcmpMut::new(segment) {
                    icmp.set_kind(self.icmp_kind);
                    icmp.set_code(self.icmp_code);
                    icmp.set_checksum(self.icmp_checksum);
                    icmp.set_identifier(self.icmp_identifier);
                    icmp.set_sequence(self.icmp_sequence);
                }
            }
            _ => {}
        }
    }
}

fn set_extra_length(packet: &mut Packet, bytes: usize) {
    if bytes > 0 {
        packet.set_annotation_word(EXTRA_LENGTH, u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

/// Computes the checksums of an IPv4 packet that is whole.
fn fill_checksums(data: &mut [u8]) {
    let Ok(mut ip) = Ipv4Mut::new(data) else {
        return;
    };
    ip.fill_checksum();
    if ip.is_fragment() {
        return;
    }
    let protocol = ip.protocol();
    let Ok(length) = u16::try_from(ip.payload_mut().len()) else {
        return;
    };
    let pseudo_header = ip.pseudo_header(length);
    let segment = ip.payload_mut();
    match protocol {
        TCP => {
            if let Ok(mut tcp) = TcpMut::new(segment) {
                tcp.fill_checksum(pseudo_header);
            }
        }
        UDP => {
            if let Ok(mut udp) = UdpMut::new(segment) {
                udp.fill_checksum(pseudo_header);
            }
        }
        ICMP if Icmp::new(segment).is_ok() => {
            if let Ok(mut icmp) = IcmpMut::new(segment) {
                icmp.fill_checksum();
            }
        }
        _ => {}
    }
}
