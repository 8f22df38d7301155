use alloc::string::{String, ToString};
use core::net::Ipv6Addr;

use sprat_click::arguments::{Argument, ArgumentError, IpProtocol, Names, UdpPort};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::checksum::Sum;
use sprat_packet::headers::{Ipv6, Ipv6Fields, UdpFields, protocol};
use sprat_packet::{Batch, Packet};

pub(super) const IP6_ENCAP: Class = Class::of::<Ip6Encap>("IP6Encap")
    .reconfigurable()
    .arguments(&[("src", "1 SRC"), ("dst", "2 DST")]);
pub(super) const UDP_IP6_ENCAP: Class = Class::of::<UdpIp6Encap>("UDPIP6Encap")
    .reconfigurable()
    .arguments(crate::tcpudp::UDP_ENCAP_ARGUMENTS);

/// Where packets go: to one address, or where each packet's annotation says.
#[derive(Clone, Copy)]
struct Destination(Option<Ipv6Addr>);

impl Argument for Destination {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        if text == "DST_ANNO" {
            Ok(Self(None))
        } else {
            Ipv6Addr::parse(text, names).map(|address| Self(Some(address)))
        }
    }
}

/// The IPv6 header that both elements put in front of packets.
struct Network {
    fields: Ipv6Fields,
    destination: Destination,
}

impl Network {
    fn new(protocol: u8, source: Ipv6Addr, destination: Destination) -> Self {
        Self {
            fields: Ipv6Fields {
                traffic_class: 0,
                flow_label: 0,
                payload_length: 0,
                next_header: protocol,
                hop_limit: 250,
                source,
                destination: Ipv6Addr::UNSPECIFIED,
            },
            destination,
        }
    }

    /// The header's values for one packet, which `more` bytes will be put in front of.
    fn aim(&mut self, packet: &Packet, more: usize) {
        self.fields.destination = self
            .destination
            .0
            .unwrap_or_else(|| packet.annotations().destination6());
        self.fields.payload_length = u16::try_from(packet.len() + more).unwrap_or(u16::MAX);
    }

    fn put(&self, packet: &mut Packet) {
        packet
            .prepend(Ipv6::LENGTH)
            .copy_from_slice(&self.fields.to_bytes());
        packet.set_network_header(0, Ipv6::LENGTH);
        packet.set_destination6(self.fields.destination);
    }

    fn read(&self, name: &str) -> Result<String, HandlerError> {
        match (name, self.destination.0) {
            ("src", _) => Ok(self.fields.source.to_string()),
            ("dst", Some(address)) => Ok(address.to_string()),
            ("dst", None) => Ok("DST_ANNO".into()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "src" => self.fields.source = crate::argument_value(context, name, value)?,
            "dst" => self.destination = crate::argument_value(context, name, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

/// IP6Encap: puts an IPv6 header in front of packets.
///
/// ```click
/// IP6Encap(PROTO, SRC, DST [, keywords HLIM, CLASS])
/// ```
///
/// The header has next header PROTO (a number or a name such as `ipip`) and goes from SRC to DST, which
/// becomes the destination annotation; with `DST_ANNO` for DST it goes to the address that the annotation
/// holds.
///
/// - HLIM: hop limit; 250.
/// - CLASS: traffic class; 0.
///
/// Handlers: `src`, `dst` (read, write).
///
/// See Click's manual page IP6Encap(n).
struct Ip6Encap {
    network: Network,
}

impl Configure for Ip6Encap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let protocol = arguments.required::<IpProtocol>("PROTO");
        let source = arguments.required("SRC");
        let destination = arguments.required("DST");
        let hop_limit = arguments.keyword("HLIM").unwrap_or(250);
        let traffic_class = arguments.keyword("CLASS").unwrap_or(0);
        arguments.finish()?;
        let mut network = Network::new(protocol?.0, source?, destination?);
        network.fields.hop_limit = hop_limit;
        network.fields.traffic_class = traffic_class;
        Ok(Self { network })
    }
}

impl Element for Ip6Encap {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            self.network.aim(packet, 0);
            self.network.put(packet);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("src").read_write("dst");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.network.read(name)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.network.write(context, name, value)
    }
}

/// UDPIP6Encap: puts UDP and IPv6 headers in front of packets.
///
/// ```click
/// UDPIP6Encap(SRC, SPORT, DST, DPORT)
/// ```
///
/// The headers go from SRC and SPORT to DST and DPORT; DST becomes the destination annotation, and with
/// `DST_ANNO` for DST they go to the address that the annotation holds. The hop limit is 250. The UDP
/// checksum is always made, as RFC 8200 asks.
///
/// Handlers: `src`, `sport`, `dst`, `dport` (read, write).
///
/// See Click's manual page UDPIP6Encap(n).
struct UdpIp6Encap {
    network: Network,
    transport: UdpFields,
}

impl Configure for UdpIp6Encap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let source = arguments.required("SRC");
        let source_port = arguments.required::<UdpPort>("SPORT");
        let destination = arguments.required("DST");
        let destination_port = arguments.required::<UdpPort>("DPORT");
        arguments.finish()?;
        Ok(Self {
            network: Network::new(protocol::UDP, source?, destination?),
            transport: UdpFields {
                source_port: source_port?.0,
                destination_port: destination_port?.0,
                length: 0,
                checksum: 0,
            },
        })
    }
}

impl Element for UdpIp6Encap {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            self.network.aim(packet, 8);
            let Ipv6Fields {
                source,
                destination,
                payload_length,
                ..
            } = self.network.fields;
            self.transport.length = payload_length;
            self.transport.checksum = 0;
            self.transport.checksum =
                Sum::pseudo_header_v6(source, destination, protocol::UDP, payload_length.into())
                    .add_bytes(&self.transport.to_bytes())
                    .add_bytes(packet.data())
                    .finish_udp();
            packet
                .prepend(8)
                .copy_from_slice(&self.transport.to_bytes());
            self.network.put(packet);
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
            "sport" => Ok(self.transport.source_port.to_string()),
            "dport" => Ok(self.transport.destination_port.to_string()),
            _ => self.network.read(name),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let port = match name {
            "sport" => &mut self.transport.source_port,
            "dport" => &mut self.transport.destination_port,
            _ => return self.network.write(context, name, value),
        };
        *port = crate::handler_value::<UdpPort>(context, value)?.0;
        Ok(())
    }
}
