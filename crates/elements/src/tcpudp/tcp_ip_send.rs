use core::net::Ipv4Addr;

use sprat_click::arguments::TcpPort;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Packet;
use sprat_packet::headers::{Ipv4, Ipv4Fields, TcpFields, protocol};

use super::segment::segment;
use crate::handler_value::complaints;

pub(super) const TCP_IP_SEND: Class = Class::of::<TCPIPSend>("TCPIPSend")
    .ports("0/1")
    .processing("h/h");

/// TCPIPSend: sends a TCP packet when asked to.
///
/// ```click
/// TCPIPSend
/// ```
///
/// Handlers: `send` (write): takes `SADDR SPORT DADDR DPORT SEQN ACKN BITS`, words with spaces between
/// them, and sends the IP packet that they describe. BITS are the flags as a number. It has no payload, a
/// window of 32120 and a time to live of 255, and may not be fragmented.
///
/// See Click's manual page TCPIPSend(n).
pub(crate) struct TCPIPSend;

impl Configure for TCPIPSend {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

fn packet(
    context: &Context<'_>,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    tcp: TcpFields,
) -> Packet {
    let network = Ipv4Fields {
        type_of_service: 0,
        total_length: 0,
        identification: 0,
        flags_and_offset: Ipv4::DONT_FRAGMENT,
        time_to_live: 255,
        protocol: protocol::TCP,
        source,
        destination,
    };
    segment(context, network, tcp, &[])
}

impl Element for TCPIPSend {
    fn handlers(&self, list: &mut HandlerList) {
        list.write("send");
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        if name != "send" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        let names = context.names();
        let mut arguments = Arguments::from_words(value, &names);
        let source = arguments.required("SADDR");
        let source_port = arguments.required("SPORT");
        let destination = arguments.required("DADDR");
        let destination_port = arguments.required("DPORT");
        let sequence = arguments.required("SEQN");
        let acknowledgement = arguments.required("ACKN");
        let flags = arguments.required("BITS");
        let finished = arguments.finish();
        let read = || -> Result<Packet, Rejected> {
            finished?;
            let TcpPort(source_port) = source_port?;
            let TcpPort(destination_port) = destination_port?;
            let tcp = TcpFields {
                source_port,
                destination_port,
                sequence: sequence?,
                acknowledgement: acknowledgement?,
                flags: flags?,
                window: 32120,
                checksum: 0,
                urgent: 0,
            };
            Ok(packet(context, source?, destination?, tcp))
        };
        let packet = read().map_err(|Rejected| complaints(&arguments))?;
        context.emit(0, packet);
        Ok(())
    }
}
