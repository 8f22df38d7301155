use core::net::Ipv4Addr;
use core::time::Duration;

use sprat_click::arguments::Ipv4Prefix;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::DEFAULT_HEADROOM;
use sprat_packet::checksum::Sum;
use sprat_packet::headers::{Ipv4Fields, UdpFields, protocol};

pub(super) const RIP_SEND: Class = Class::of::<RipSend>("RIPSend")
    .ports("0/1")
    .processing("h/h");

/// RIPSend: announces a route every half minute.
///
/// ```click
/// RIPSend(SRC, DST, PREFIX, METRIC)
/// ```
///
/// Sends an IP packet from SRC to DST with a RIP response of version 2 (RFC 2453): the network PREFIX can
/// be reached with METRIC, 1 to 15 hops or 16 for not at all. The first goes at once.
///
/// See Click's manual page RIPSend(n).
struct RipSend {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    prefix: Ipv4Prefix,
    metric: u32,
}

/// How often routes are announced (RFC 2453, section 3.8).
const INTERVAL: Duration = Duration::from_secs(30);

/// RIP's port.
const PORT: u16 = 520;

/// Bytes of a message with one route, and of all headers with it.
const MESSAGE: usize = 24;
const LENGTH: usize = 28 + MESSAGE;

impl Configure for RipSend {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let source = arguments.required("SRC");
        let destination = arguments.required("DST");
        let prefix = arguments.required("PREFIX");
        let metric = arguments.required::<u32>("METRIC");
        if metric.is_ok_and(|metric| !(1..=16).contains(&metric)) {
            arguments.error("METRIC: must be between 1 and 16");
        }
        arguments.finish()?;
        Ok(Self {
            source: source?,
            destination: destination?,
            prefix: prefix?,
            metric: metric?,
        })
    }
}

impl RipSend {
    fn message(&self) -> [u8; MESSAGE] {
        let mut message = [0; MESSAGE];
        // A response of version 2 with a route of the Internet's address family.
        message[..8].copy_from_slice(&[2, 2, 0, 0, 0, 2, 0, 0]);
        message[8..12].copy_from_slice(&self.prefix.network().octets());
        message[12..16].copy_from_slice(&self.prefix.mask.octets());
        message[20..].copy_from_slice(&self.metric.to_be_bytes());
        message
    }

    fn bytes(&self) -> [u8; LENGTH] {
        let message = self.message();
        let length = 8 + 24;
        let mut udp = UdpFields {
            source_port: PORT,
            destination_port: PORT,
            length,
            checksum: 0,
        };
        udp.checksum = Sum::pseudo_header_v4(self.source, self.destination, protocol::UDP, length)
            .add_bytes(&udp.to_bytes())
            .add_bytes(&message)
            .finish_udp();
        let network = Ipv4Fields {
            type_of_service: 0,
            total_length: length + 20,
            identification: 0,
            flags_and_offset: 0,
            time_to_live: 250,
            protocol: protocol::UDP,
            source: self.source,
            destination: self.destination,
        };
        let mut bytes = [0; LENGTH];
        bytes[..20].copy_from_slice(&network.to_bytes());
        bytes[20..28].copy_from_slice(&udp.to_bytes());
        bytes[28..].copy_from_slice(&message);
        bytes
    }
}

impl Element for RipSend {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.set_timer(0, context.now());
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        let mut packet = context
            .pool()
            .packet_uninitialised(DEFAULT_HEADROOM, LENGTH);
        packet.data_mut().copy_from_slice(&self.bytes());
        packet.set_network_header(0, 20);
        packet.set_destination(self.destination);
        packet.set_timestamp(context.timestamp().0);
        context.emit(0, packet);
        context.set_timer_after(0, INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn a_route_is_announced_every_half_minute_as_rfc_2453_has_it() {
        let bench = Bench::new(
            "RIPSend(18.26.4.24, 18.26.4.255, 10.1.0.0/8, 10) -> CheckIPHeader(VERBOSE true)
             -> CheckUDPHeader(VERBOSE true) -> ToDevice(out)",
        );
        bench.run_for(Duration::from_secs(65));
        assert_eq!(bench.simulation.take_errors(), "");
        let sent = bench.sent("out");
        assert_eq!(sent.len(), 3);
        assert_eq!(sent[0][12..20], [18, 26, 4, 24, 18, 26, 4, 255]);
        // Ports 520, and 32 bytes.
        assert_eq!(sent[0][20..26], [2, 8, 2, 8, 0, 32]);
        #[rustfmt::skip]
        let message = [
            2, 2, 0, 0, // a response of version 2
            0, 2, 0, 0, // the Internet's addresses, no tag
            10, 0, 0, 0, 255, 0, 0, 0, // the network and its mask
            0, 0, 0, 0, 0, 0, 0, 10, // by the sender, ten hops
        ];
        assert_eq!(sent[0][28..], message);
    }

    #[test]
    fn a_metric_is_at_most_infinity() {
        let errors = Bench::errors("RIPSend(1.0.0.1, 1.0.0.2, 10/8, 17) -> Discard");
        assert!(
            errors.contains("METRIC: must be between 1 and 16"),
            "{errors}"
        );
    }
}
