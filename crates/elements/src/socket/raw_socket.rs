use alloc::string::{String, ToString};

use sprat_click::environment::Connection;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;
use sprat_packet::headers::{Ipv4, protocol};

use super::transport::{Open, Transport};

pub(super) const RAW_SOCKET: Class = Class::of::<RawSocket>("RawSocket")
    .ports("0-1/0-1")
    .processing("a/h")
    .flow("x/y");

/// The protocol number of GRE.
const GRE: u8 = 47;

/// RawSocket: carries IP packets over the host's own interfaces.
///
/// ```click
/// RawSocket(TCP, [PORT, keywords])
/// RawSocket(UDP, [PORT, keywords])
/// RawSocket(GRE, [KEY, keywords])
/// RawSocket(ICMP, [IDENTIFIER, keywords])
/// ```
///
/// IP packets that come in are sent as they are, where their header says. IP packets of the protocol that
/// the host receives come out; with PORT, KEY or IDENTIFIER those that have it as their destination port,
/// key or identifier. The host receives them too, and may answer. Needs the right to open raw sockets.
///
/// - SNAPLEN, TIMESTAMP, HEADROOM, SNDBUF, RCVBUF: as for Socket.
///
/// Handlers: `drops` (read): packets that found no room.
///
/// See Click's manual page RawSocket(n).
struct RawSocket {
    protocol: u8,
    number: Option<u32>,
    transport: Transport,
    connection: Open,
}

impl Configure for RawSocket {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let kind = arguments.required::<String>("TYPE")?;
        let (protocol, number) = match kind.to_ascii_uppercase().as_str() {
            "TCP" => (protocol::TCP, "PORT"),
            "UDP" => (protocol::UDP, "PORT"),
            "GRE" => (GRE, "KEY"),
            "ICMP" => (protocol::ICMP, "IDENTIFIER"),
            _ => return Err(arguments.error("TYPE: expected 'TCP', 'UDP', 'GRE' or 'ICMP'")),
        };
        let number = if protocol == GRE {
            arguments.position::<u32>(number)
        } else {
            arguments.position::<u16>(number).map(u32::from)
        };
        let transport = Transport::configure(arguments);
        arguments.finish()?;
        Ok(Self {
            protocol,
            number,
            transport,
            connection: None,
        })
    }
}

/// The number by which a packet of a protocol finds who it is for.
fn number(packet: &[u8]) -> Option<u32> {
    let ip = Ipv4::new(packet).ok()?;
    let payload = ip.payload();
    let short = |at: usize| {
        Some(u32::from(u16::from_be_bytes(
            *payload.get(at..)?.first_chunk()?,
        )))
    };
    match ip.protocol() {
        protocol::TCP | protocol::UDP => short(2),
        protocol::ICMP => short(4),
        // Its key is there where the third bit says so, behind a checksum if the first does.
        GRE if payload.first()? & 0x20 != 0 => {
            let at = if payload[0] & 0x80 != 0 { 8 } else { 4 };
            Some(u32::from_be_bytes(*payload.get(at..)?.first_chunk()?))
        }
        _ => None,
    }
}

impl RawSocket {
    fn serve(&mut self, context: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let wanted = self.number;
        let admits = |_: &mut Context<'_>, _: &dyn Connection, packet: &[u8]| {
            wanted.is_none() || number(packet) == wanted
        };
        let served = self
            .transport
            .receive(context, &mut **connection, false, admits)
            .and_then(|_| {
                self.transport
                    .send(context, &mut **connection, false, false)
            });
        // The next packet may fare better.
        if let Err(error) = served {
            context.chatter(format_args!("{}: {error}", context.name()));
            self.transport.give_up();
        }
    }
}

impl Element for RawSocket {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.watch();
        let opened = context.environment().raw_socket(self.protocol);
        self.connection =
            Some(opened.map_err(|error| context.error(alloc::format!("raw socket: {error}")))?);
        if context.inputs() > 0 && context.input_pulls(0) {
            context.wake_when_nonempty(0);
            context.schedule_task();
        }
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        self.transport.accept(batch);
        self.serve(context);
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.serve(context);
        true
    }

    fn run_io(&mut self, context: &mut Context<'_>) {
        self.serve(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.transport.drops.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn packets_are_for_whom_their_port_identifier_or_key_says() {
        let with = |protocol: u8, payload: &[u8]| {
            let mut packet = std::vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0];
            packet.extend([1, 0, 0, 1, 2, 0, 0, 2]);
            packet.extend(payload);
            packet.resize(40, 0);
            number(&packet)
        };
        assert_eq!(with(17, &[0, 1, 0, 53]), Some(53));
        assert_eq!(with(1, &[8, 0, 0, 0, 0, 7]), Some(7));
        assert_eq!(with(GRE, &[0x20, 0, 8, 0, 0, 0, 0, 9]), Some(9));
        assert_eq!(with(GRE, &[0xa0, 0, 8, 0, 1, 1, 0, 0, 0, 0, 0, 9]), Some(9));
        assert_eq!(with(GRE, &[0, 0, 8, 0]), None);
        assert_eq!(number(&[]), None);
    }

    #[test]
    fn what_is_wrong_with_a_rawsocket_is_said() {
        let errors = Bench::errors("RawSocket(SCTP) -> Discard");
        assert!(errors.contains("TYPE: expected"), "{errors}");
        let errors = Bench::errors("RawSocket(ICMP, 5) -> Discard");
        assert!(
            errors.contains("raw socket: not available here"),
            "{errors}"
        );
    }
}
