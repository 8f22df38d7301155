use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_packet::annotations::{AGGREGATE, EXTRA_LENGTH, EXTRA_PACKETS, FIRST_TIMESTAMP};
use sprat_packet::headers::protocol::{ICMP, TCP, UDP};
use sprat_packet::headers::{EthernetFields, Icmp, IcmpMut, Ipv4, Ipv4Mut, TcpMut, UdpMut};
use sprat_packet::{DEFAULT_HEADROOM, Packet, Pool};

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
    /// Nanoseconds since the Unix epoch.
    pub(super) timestamp: i64,
    pub(super) first_timestamp: Option<i64>,
    /// How many packets the line stands for.
    pub(super) count: u32,
    pub(super) paint: u8,
    pub(super) aggregate: u32,
    /// Where the line says anything of a link header: its fields.
    pub(super) ethernet: Option<EthernetFields>,
    pub(super) type_of_service: u8,
    pub(super) identification: u16,
    pub(super) flags_and_offset: u16,
    pub(super) time_to_live: u8,
    pub(super) ip_length: Option<u32>,
    pub(super) ip_header_length: usize,
    pub(super) ip_checksum: u16,
    pub(super) ip_options: Vec<u8>,
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    /// With the nonce sum, which stands before the byte of the others.
    pub(super) tcp_flags: u16,
    pub(super) window: u16,
    pub(super) urgent: u16,
    pub(super) tcp_header_length: usize,
    pub(super) tcp_checksum: u16,
    pub(super) tcp_options: Vec<u8>,
    pub(super) udp_length: Option<u16>,
    pub(super) udp_checksum: u16,
    pub(super) icmp_kind: u8,
    pub(super) icmp_code: u8,
    pub(super) icmp_checksum: u16,
    pub(super) icmp_identifier: u16,
    /// The sequence number, or what else stands in its place.
    pub(super) icmp_sequence: u16,
    pub(super) payload: Vec<u8>,
    pub(super) payload_length: Option<u32>,
    /// Bytes of the packet from the IP header on that are there.
    pub(super) captured: Option<u32>,
}

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

    /// Bytes of the transport header; none where the packet is a later fragment.
    fn transport_length(&self) -> usize {
        if self.flags_and_offset & Ipv4::OFFSET_MASK != 0 {
            return 0;
        }
        match self.flow.protocol {
            TCP => (20 + self.tcp_options.len())
                .max(self.tcp_header_length)
                .min(60)
                .next_multiple_of(4),
            UDP | ICMP => 8,
            _ => 0,
        }
    }

    /// The packet that the line describes. `checksums`: whether checksums are computed, and all
    /// bytes of the IP length are there.
    pub(super) fn packet(&self, pool: &Pool, checksums: bool) -> Packet {
        let header = (20 + self.ip_options.len())
            .max(self.ip_header_length)
            .min(60)
            .next_multiple_of(4);
        let transport = self.transport_length();
        let natural = header + transport + self.payload.len();
        let stated = self
            .payload_length
            .map(|length| header + transport + length as usize);
        let length = self.ip_length.map(|length| length as usize);
        let length = length
            .or(stated)
            .unwrap_or(natural)
            .min(usize::from(u16::MAX));
        let present = if checksums {
            length
        } else {
            self.captured
                .map_or(natural, |captured| captured as usize)
                .min(length)
        };
        let link = if self.ethernet.is_some() { ETHERNET } else { 0 };
        let whole = natural.max(present);
        let mut packet = pool.packet_zeroed(DEFAULT_HEADROOM, link + whole);
        if let Some(ethernet) = &self.ethernet {
            packet.data_mut()[..ETHERNET].copy_from_slice(&ethernet.to_bytes());
            packet.set_mac_header(0);
            packet.strip(ETHERNET);
        }
        self.fill(packet.data_mut(), header, transport, length);
        packet.truncate(present);
        if checksums {
            fill_checksums(packet.data_mut());
        }
        packet.set_network_header(0, header);
        self.annotate(&mut packet);
        if length > present {
            packet.set_annotation_word(
                EXTRA_LENGTH,
                u32::try_from(length - present).unwrap_or(u32::MAX),
            );
        }
        packet
    }

    /// Writes headers and payload.
    fn fill(&self, data: &mut [u8], header: usize, transport: usize, length: usize) {
        // At most 60 bytes and 65,535 bytes.
        let words = u8::try_from(header / 4).unwrap_or(15);
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        data[0] = 0x40 | words;
        data[20..20 + self.ip_options.len()].copy_from_slice(&self.ip_options);
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
        let segment = &mut data[header..];
        segment[transport..transport + self.payload.len()].copy_from_slice(&self.payload);
        if transport > 0 {
            let rest = length.saturating_sub(u16::from(words) * 4);
            self.fill_transport(segment, transport, rest);
        }
    }

    fn fill_transport(&self, segment: &mut [u8], header: usize, length: u16) {
        match self.flow.protocol {
            TCP => {
                let [nonce, flags] = self.tcp_flags.to_be_bytes();
                segment[12] = u8::try_from(header / 4).unwrap_or(15) << 4 | nonce & 1;
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
            }
            UDP => {
                if let Ok(mut udp) = UdpMut::new(segment) {
                    udp.set_source_port(self.flow.source_port);
                    udp.set_destination_port(self.flow.destination_port);
                    udp.set_length(self.udp_length.unwrap_or(length));
                    udp.set_checksum(self.udp_checksum);
                }
            }
            _ => {
                if let Ok(mut icmp) = IcmpMut::new(segment) {
                    icmp.set_kind(self.icmp_kind);
                    icmp.set_code(self.icmp_code);
                    icmp.set_checksum(self.icmp_checksum);
                    icmp.set_identifier(self.icmp_identifier);
                    icmp.set_sequence(self.icmp_sequence);
                }
            }
        }
    }

    fn annotate(&self, packet: &mut Packet) {
        packet.set_destination(self.flow.destination);
        packet.set_timestamp(self.timestamp);
        packet.set_paint(self.paint);
        packet.set_annotation_word(AGGREGATE, self.aggregate);
        packet.set_annotation_word(EXTRA_PACKETS, self.count.saturating_sub(1));
        if let Some(first) = self.first_timestamp {
            packet.set_annotation_double(FIRST_TIMESTAMP, first.cast_unsigned());
        }
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
