use alloc::string::{String, ToString};
use core::net::Ipv4Addr;
use core::num::NonZeroU32;

use sprat_click::arguments::{Argument, Raw, UdpPort};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::checksum::Sum;
use sprat_packet::headers::{Ipv4Fields, UdpFields, protocol};
use sprat_packet::{Batch, Packet};

use crate::ip::ip_encap::Destination;

pub(super) const UDP_IP_ENCAP: Class = Class::of::<UDPIPEncap>("UDPIPEncap")
    .reconfigurable()
    .arguments(UDP_ENCAP_ARGUMENTS);
pub(super) const DYNAMIC_UDP_IP_ENCAP: Class = Class::of::<UDPIPEncap>("DynamicUDPIPEncap");

/// The handlers of the addresses and ports of an encapsulation in UDP.
pub(crate) const UDP_ENCAP_ARGUMENTS: &[(&str, &str)] = &[
    ("src", "0 SRC"),
    ("sport", "1 SPORT"),
    ("dst", "2 DST"),
    ("dport", "3 DPORT"),
];

/// UDPIPEncap, DynamicUDPIPEncap: put UDP and IP headers in front of packets.
///
/// ```click
/// UDPIPEncap(SRC, SPORT, DST, DPORT [, CHECKSUM])
/// DynamicUDPIPEncap(SRC, SPORT, DST, DPORT [, CHECKSUM, INTERVAL])
/// ```
///
/// The headers go from SRC and SPORT to DST and DPORT; DST becomes the destination annotation, and with
/// `DST_ANNO` for DST they go to the address that the annotation holds. Time to live is 250,
/// identifications count up from zero. The UDP checksum is made unless CHECKSUM is false.
///
/// DynamicUDPIPEncap adds one to both ports after every INTERVAL packets; where that is 0, as it is unless
/// given, never.
///
/// Handlers: `src`, `sport`, `dst`, `dport` (read, write).
///
/// See Click's manual pages UDPIPEncap(n) and DynamicUDPIPEncap(n).
pub(crate) struct UDPIPEncap {
    network: Ipv4Fields,
    destination: Destination,
    transport: UdpFields,
    checksum: bool,
    /// After how many packets the ports change.
    interval: Option<NonZeroU32>,
    /// Packets until they do.
    left: u32,
}

/// Bytes of both headers.
const HEADERS: usize = 28;

impl Configure for UDPIPEncap {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let source = arguments.required("SRC");
        let source_port = arguments.required("SPORT").map(|UdpPort(port)| port);
        let destination = arguments.required::<Raw>("DST");
        let destination_port = arguments.required("DPORT").map(|UdpPort(port)| port);
        let checksum = arguments.position("CHECKSUM").unwrap_or(true);
        let class = configuration.class_of(configuration.id());
        let interval = if class.name == DYNAMIC_UDP_IP_ENCAP.name {
            arguments.position("INTERVAL").and_then(NonZeroU32::new)
        } else {
            None
        };
        arguments.finish()?;
        let Raw(destination) = destination?;
        let destination = Destination::parse(&destination, arguments.names())
            .map_err(|_| arguments.error("bad DST"))?;
        let network = Ipv4Fields {
            type_of_service: 0,
            total_length: 0,
            identification: 0,
            flags_and_offset: 0,
            time_to_live: 250,
            protocol: protocol::UDP,
            source: source?,
            destination: Ipv4Addr::UNSPECIFIED,
        };
        let transport = UdpFields {
            source_port: source_port?,
            destination_port: destination_port?,
            length: 0,
            checksum: 0,
        };
        Ok(Self {
            network,
            destination,
            transport,
            checksum,
            interval,
            left: interval.map_or(0, NonZeroU32::get),
        })
    }
}

/// Puts headers in front of a packet, with lengths and checksum as it asks for, and counts on.
pub(super) fn put_before(
    packet: &mut Packet,
    network: &mut Ipv4Fields,
    transport: &mut UdpFields,
    checksum: bool,
) {
    network.total_length = u16::try_from(packet.len() + HEADERS).unwrap_or(u16::MAX);
    transport.length = u16::try_from(packet.len() + 8).unwrap_or(u16::MAX);
    transport.checksum = 0;
    let (source, destination) = (network.source, network.destination);
    if checksum {
        let length = transport.length;
        transport.checksum = Sum::pseudo_header_v4(source, destination, protocol::UDP, length)
            .add_bytes(&transport.to_bytes())
            .add_bytes(packet.data())
            .finish_udp();
    }
    let (first, second) = packet.prepend(HEADERS).split_at_mut(20);
    first.copy_from_slice(&network.to_bytes());
    second.copy_from_slice(&transport.to_bytes());
    packet.set_network_header(0, 20);
    packet.set_destination(destination);
    network.identification = network.identification.wrapping_add(1);
}

impl Element for UDPIPEncap {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            self.network.destination = self.destination.of(packet);
            put_before(
                packet,
                &mut self.network,
                &mut self.transport,
                self.checksum,
            );
            if let Some(interval) = self.interval {
                self.left -= 1;
                if self.left == 0 {
                    self.left = interval.get();
                    let UdpFields {
                        source_port,
                        destination_port,
                        ..
                    } = &mut self.transport;
                    *source_port = source_port.wrapping_add(1);
                    *destination_port = destination_port.wrapping_add(1);
                }
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("src")
            .read_write("sport")
            .read_write("dst")
            .read_write("dport");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "src" => Ok(self.network.source.to_string()),
            "sport" => Ok(self.transport.source_port.to_string()),
            "dst" => Ok(match self.destination {
                Destination::Fixed(address) => address.to_string(),
                // What Click has for the address.
                Destination::Annotation => Ipv4Addr::UNSPECIFIED.to_string(),
            }),
            "dport" => Ok(self.transport.destination_port.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "src" => self.network.source = crate::argument_value(context, name, value)?,
            "sport" => {
                self.transport.source_port =
                    crate::argument_value::<UdpPort>(context, name, value)?.0
            }
            "dst" => self.destination = crate::argument_value(context, name, value)?,
            "dport" => {
                self.transport.destination_port =
                    crate::argument_value::<UdpPort>(context, name, value)?.0
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
