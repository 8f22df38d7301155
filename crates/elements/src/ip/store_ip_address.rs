use alloc::string::String;
use core::net::Ipv4Addr;

use sprat_click::arguments::Argument;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::checksum::Delta;
use sprat_packet::headers::{Ipv4Mut, TcpMut, UdpMut, protocol};
use sprat_packet::{Batch, Packet};

pub(super) const STORE_IP_ADDRESS: Class = Class::of::<StoreIPAddress>("StoreIPAddress")
    .ports("1/1-2")
    .processing("a/ah");

/// StoreIPAddress: writes an IP address into packets.
///
/// ```click
/// StoreIPAddress(OFFSET)
/// StoreIPAddress(ADDR, OFFSET)
/// ```
///
/// Writes ADDR, or else the destination annotation unless it is zero, OFFSET bytes into each packet.
/// With `src` or `dst` for OFFSET it is written to that field of the IP header, zero or not, and the
/// checksums of IP, TCP and UDP are mended; otherwise no checksum is touched. Where OFFSET lies outside the packet, it
/// leaves by output 1 where that is used and is dropped otherwise.
///
/// See Click's manual page StoreIPAddress(n).
pub(crate) struct StoreIPAddress {
    address: Option<Ipv4Addr>,
    place: Place,
}

/// Where an IP address stands in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Offset(usize),
    Source,
    Destination,
}

impl Configure for StoreIPAddress {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = if arguments.remaining() > 1 {
            Some(arguments.required("ADDR"))
        } else {
            None
        };
        let word = arguments.required::<String>("OFFSET");
        arguments.finish()?;
        let (address, word) = (address.transpose()?, word?);
        let place = if word.eq_ignore_ascii_case("src") {
            Place::Source
        } else if word.eq_ignore_ascii_case("dst") {
            Place::Destination
        } else {
            let offset = i32::parse(&word, arguments.names()).ok();
            match offset.and_then(|offset| usize::try_from(offset).ok()) {
                Some(offset) => Place::Offset(offset),
                None => {
                    return Err(arguments.error("type mismatch: OFFSET requires integer"));
                }
            }
        };
        Ok(Self { address, place })
    }
}

impl StoreIPAddress {
    fn store(&self, packet: &mut Packet) -> bool {
        let address = match self.address {
            Some(address) => address,
            None => packet.annotations().destination(),
        };
        let place = match self.place {
            Place::Offset(offset) => {
                if self.address.is_none() && address.is_unspecified() {
                    return true;
                }
                let bytes = packet
                    .data_mut()
                    .get_mut(offset..)
                    .and_then(|bytes| bytes.first_chunk_mut::<4>());
                return bytes.map(|bytes| *bytes = address.octets()).is_some();
            }
            place => place,
        };
        let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) else {
            return false;
        };
        let old = if place == Place::Source {
            let old = ip.source();
            ip.set_source(address);
            old
        } else {
            let old = ip.destination();
            ip.set_destination(address);
            old
        };
        let delta = Delta::new().replace_u32(old.to_bits(), address.to_bits());
        let checksum = delta.apply(ip.checksum());
        ip.set_checksum(checksum);
        if ip.is_first_fragment() {
            let kind = ip.protocol();
            mend_transport(kind, ip.payload_mut(), delta);
        }
        true
    }
}

/// Mends the checksum of a TCP or UDP header whose pseudo-header has changed.
fn mend_transport(kind: u8, payload: &mut [u8], delta: Delta) {
    match kind {
        protocol::TCP => {
            if let Ok(mut tcp) = TcpMut::new(payload) {
                let checksum = delta.apply(tcp.checksum());
                tcp.set_checksum(checksum);
            }
        }
        protocol::UDP => {
            if let Ok(mut udp) = UdpMut::new(payload) {
                let checksum = delta.apply_udp(udp.checksum());
                udp.set_checksum(checksum);
            }
        }
        _ => {}
    }
}

impl Element for StoreIPAddress {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if self.store(&mut packet) {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }
}
