use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Ipv4, Tcp, icmp_type, protocol};
use sprat_packet::{Batch, Packet};

use crate::standard::length::truncate;

pub(super) const TRUNCATE_IP_PAYLOAD: Class = Class::of::<TruncateIPPayload>("TruncateIPPayload");
pub(super) const ERASE_IP_PAYLOAD: Class = Class::of::<EraseIPPayload>("EraseIPPayload");

/// How long the header is that follows the IP header `ip`; `None` where none is known.
fn transport_length(ip: &Ipv4<'_>) -> Option<usize> {
    if !ip.is_first_fragment() {
        return None;
    }
    match ip.protocol() {
        protocol::TCP => Some(Tcp::new(ip.payload()).map_or(20, |tcp| tcp.header_length())),
        protocol::UDP => Some(8),
        protocol::ICMP => match ip.payload().first() {
            Some(&(icmp_type::TIMESTAMP | icmp_type::TIMESTAMP_REPLY)) => Some(20),
            _ => Some(8),
        },
        _ => None,
    }
}

/// TruncateIPPayload: cuts the payload of IP packets to a length.
///
/// ```click
/// TruncateIPPayload([LENGTH, TRANSPORT, keyword EXTRA_LENGTH])
/// ```
///
/// At most LENGTH bytes (0) of payload are left. Payload begins after the TCP, UDP or ICMP header, or,
/// where TRANSPORT is false or there is none of these, after the IP header. Packets without a network
/// header annotation are cut to LENGTH. With EXTRA_LENGTH (true) the bytes cut off are added to the extra
/// length annotation. The headers stay as they are.
///
/// See Click's manual page TruncateIPPayload(n).
pub(crate) struct TruncateIPPayload {
    length: usize,
    transport: bool,
    annotate: bool,
}

/// Where the payload begins, counted from the start of the packet.
fn payload_offset(packet: &Packet, transport: bool) -> usize {
    let (Some(start), Some(Ok(ip))) = (
        packet.network_offset(),
        packet.network_header().map(Ipv4::new),
    ) else {
        return 0;
    };
    let headers = ip.header_length()
        + if transport {
            transport_length(&ip).unwrap_or(0)
        } else {
            0
        };
    usize::try_from(start + headers.cast_signed()).unwrap_or(0)
}

impl Configure for TruncateIPPayload {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let length = arguments.position::<u32>("LENGTH").unwrap_or(0);
        let transport = arguments.position("TRANSPORT").unwrap_or(true);
        let annotate = arguments.keyword("EXTRA_LENGTH").unwrap_or(true);
        arguments.finish()?;
        Ok(Self {
            length: length as usize,
            transport,
            annotate,
        })
    }
}

impl Element for TruncateIPPayload {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let headers = payload_offset(packet, self.transport);
            truncate(packet, headers.saturating_add(self.length), self.annotate);
        }
    }
}

/// EraseIPPayload: sets the payload of IP packets to zero.
///
/// ```click
/// EraseIPPayload
/// ```
///
/// Everything behind the TCP or UDP header becomes zero; of later fragments, everything behind the IP
/// header. Lengths and checksums stay. Other packets pass unchanged.
///
/// See Click's manual page EraseIPPayload(n).
pub(crate) struct EraseIPPayload;

impl Configure for EraseIPPayload {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for EraseIPPayload {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let Some(Ok(ip)) = packet.network_header().map(Ipv4::new) else {
                continue;
            };
            if !matches!(ip.protocol(), protocol::TCP | protocol::UDP) {
                continue;
            }
            let start = ip.header_length() + transport_length(&ip).unwrap_or(0);
            let end = usize::from(ip.total_length());
            if let Some(header) = packet.network_header_mut() {
                let end = end.min(header.len());
                if let Some(payload) = header.get_mut(start..end) {
                    payload.fill(0);
                }
            }
        }
    }
}
