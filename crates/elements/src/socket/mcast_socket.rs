use alloc::format;
use alloc::string::{String, ToString};
use core::net::{Ipv4Addr, SocketAddrV4};

use sprat_click::arguments::UdpPort;
use sprat_click::environment::MulticastGroup;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::transport::{Open, Transport};

pub(super) const MCAST_SOCKET: Class = Class::of::<McastSocket>("McastSocket")
    .ports("0-1/0-1")
    .processing("a/h")
    .flow("x/y");

/// McastSocket: carries packets over a multicast group of UDP.
///
/// ```click
/// McastSocket(MCASTIP, MCASTPORT [, SOURCEIP, SOURCEPORT, keywords LOOP, SNAPLEN, TIMESTAMP, HEADROOM])
/// ```
///
/// Packets that come in are sent to the group, each as one datagram; datagrams that others send to
/// the group come out.
///
/// - SOURCEIP, SOURCEPORT: the interface of this address is used, and packets are sent from it; what
///   comes from there, which is one's own, is not heard. Without it the system decides.
/// - LOOP: whether programs on this machine, this one too, hear what is sent; true.
/// - SNAPLEN: the longest packet received; 2048.
/// - TIMESTAMP: whether packets get the time at which they came; true.
/// - HEADROOM: room before each packet; 28.
/// - SNDBUF, RCVBUF are accepted and decide nothing.
///
/// Pushed packets wait where the system has no room for them, up to 1,000; more are dropped. On a pull
/// path packets are pulled as there is room.
///
/// Handlers: `drops` (read).
///
/// See Click's manual page McastSocket(n).
struct McastSocket {
    group: MulticastGroup,
    transport: Transport,
    connection: Open,
}

impl Configure for McastSocket {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = arguments.required::<Ipv4Addr>("MCASTIP");
        let port = arguments.required::<UdpPort>("MCASTPORT");
        let source = arguments.position::<Ipv4Addr>("SOURCEIP");
        let source_port = arguments.position::<UdpPort>("SOURCEPORT");
        let looped = arguments.keyword("LOOP").unwrap_or(true);
        let transport = Transport::configure(arguments);
        arguments.finish()?;
        let address = address?;
        if !address.is_multicast() {
            return Err(arguments.error("MCASTIP must be a multicast address"));
        }
        Ok(Self {
            group: MulticastGroup {
                group: SocketAddrV4::new(address, port?.0),
                source: source
                    .map(|source| SocketAddrV4::new(source, source_port.map_or(0, |port| port.0))),
                looped,
            },
            transport,
            connection: None,
        })
    }
}

impl McastSocket {
    fn serve(&mut self, context: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let served = self
            .transport
            .receive(context, &mut **connection, false, |_, _, _| true)
            .and_then(|_| {
                self.transport
                    .send(context, &mut **connection, false, false)
            });
        // The next datagram may fare better.
        if let Err(error) = served {
            context.chatter(format_args!("{}: {error}", context.name()));
        }
    }
}

impl Element for McastSocket {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.watch();
        let joined = context.environment().join(&self.group);
        let group = self.group.group;
        self.connection =
            Some(joined.map_err(|error| context.error(format!("cannot join {group}: {error}")))?);
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
