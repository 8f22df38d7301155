use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use sprat_click::arguments::{ElementName, Raw};
use sprat_click::environment::{AccessError, Connection, Listener, SocketAddress};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, ElementId, HandlerError,
    HandlerList, Rejected,
};
use sprat_packet::Batch;

use super::transport::{Fate, Open, Transport};
use crate::lookup::IPLookup;

pub(super) const SOCKET: Class = Class::of::<Socket>("Socket")
    .ports("0-1/0-1")
    .processing("a/h")
    .flow("x/y");

/// Socket: carries packets over a socket.
///
/// ```click
/// Socket(TCP, IP, PORT [, LOCALIP, LOCALPORT, keywords])
/// Socket(UDP, IP, PORT [, LOCALIP, LOCALPORT, keywords])
/// Socket(UNIX, FILENAME [, LOCALFILENAME, keywords])
/// Socket(UNIX_DGRAM, FILENAME [, LOCALFILENAME, keywords])
/// ```
///
/// Packets that come in are sent; what is received comes out. A server waits for clients at the
/// address, one at a time for TCP and UNIX; over UDP and UNIX_DGRAM it hears all and answers the one
/// that spoke last. A client connects to the address; over UDP with the address 0.0.0.0 each packet
/// goes where its destination annotation says.
///
/// - CLIENT: which of the two it is. By default a client where it has no output or a local address is
///   given, else a server.
/// - LOCALIP, LOCALPORT, LOCALFILENAME: where a client sends from.
/// - SNAPLEN: the longest packet received, and the longest made of a stream; 2048.
/// - TIMESTAMP: whether packets get the time at which they came; true.
/// - HEADROOM: room before each packet; 28.
/// - ALLOW, DENY: tables of routes (RadixIPLookup and its like). A server serves clients with a route
///   in ALLOW, and of the others those that have none in DENY.
/// - VERBOSE: says when connections begin and end; false.
/// - NODELAY, SNDBUF, RCVBUF, PROPER are accepted and decide nothing.
///
/// Pushed packets wait where the system has no room for them, up to 1,000; more are dropped. On a pull
/// path packets are pulled as there is room.
///
/// Handlers: `drops` (read): packets dropped; `port` (read): of a server.
///
/// See Click's manual page Socket(n).
struct Socket {
    address: SocketAddress,
    local: Option<SocketAddress>,
    client: bool,
    guard: Guard,
    verbose: bool,
    transport: Transport,
    listener: Option<Box<dyn Listener>>,
    connection: Open,
}

/// Whom a server serves.
struct Guard {
    allow: Option<ElementId>,
    deny: Option<ElementId>,
}

impl Guard {
    fn table(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
        keyword: &str,
    ) -> Option<ElementId> {
        let ElementName(name) = arguments.keyword(keyword)?;
        let found = configuration
            .find(&name)
            .filter(|id| IPLookup::is_class(configuration.class_of(*id).name));
        if found.is_none() {
            arguments.error(format!("{keyword}: '{name}' is not an IPRouteTable"));
        }
        found
    }

    fn admits(&self, context: &Context<'_>, connection: &dyn Connection) -> bool {
        let Some(IpAddr::V4(peer)) = connection.peer() else {
            return true;
        };
        let has_route = |table: Option<ElementId>| {
            let looked_up = |lookup: &mut IPLookup, _: &mut Context<'_>| lookup.has_route(peer);
            context.with(table?, looked_up)
        };
        has_route(self.allow) == Some(true) || has_route(self.deny) != Some(true)
    }
}

/// Reads an address and a port.
fn endpoint(arguments: &mut Arguments<'_>) -> Result<SocketAddr, Rejected> {
    let address = arguments.required::<Ipv4Addr>("IP");
    let port = arguments.required::<u16>("PORT");
    Ok((address?, port?).into())
}

fn local_endpoint(arguments: &mut Arguments<'_>) -> Option<SocketAddr> {
    let address = arguments.position::<Ipv4Addr>("LOCALIP");
    let port = arguments.position::<u16>("LOCALPORT");
    address.map(|address| (address, port.unwrap_or(0)).into())
}

impl Configure for Socket {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let kind = arguments.required::<String>("TYPE")?;
        let (address, local) = match kind.to_ascii_uppercase().as_str() {
            "TCP" => (
                endpoint(arguments).map(SocketAddress::Tcp),
                local_endpoint(arguments).map(SocketAddress::Tcp),
            ),
            "UDP" => (
                endpoint(arguments).map(SocketAddress::Udp),
                local_endpoint(arguments).map(SocketAddress::Udp),
            ),
            upper @ ("UNIX" | "UNIX_DGRAM") => {
                let wrap = if upper == "UNIX" {
                    SocketAddress::Unix
                } else {
                    SocketAddress::UnixDatagram
                };
                (
                    arguments.required("FILENAME").map(wrap),
                    arguments.position("LOCALFILENAME").map(wrap),
                )
            }
            _ => return Err(arguments.error(format!("unknown socket type '{kind}'"))),
        };
        let client = arguments.keyword("CLIENT");
        let guard = Guard {
            allow: Guard::table(arguments, configuration, "ALLOW"),
            deny: Guard::table(arguments, configuration, "DENY"),
        };
        let verbose = arguments.keyword("VERBOSE").unwrap_or(false);
        for ignored in ["NODELAY", "PROPER"] {
            arguments.keyword::<Raw>(ignored);
        }
        let transport = Transport::configure(arguments);
        arguments.finish()?;
        let (address, client) = (
            address?,
            client.unwrap_or(local.is_some() || configuration.outputs() == 0),
        );
        Ok(Self {
            address,
            local: local.filter(|_| client),
            client,
            guard,
            verbose,
            transport,
            listener: None,
            connection: None,
        })
    }
}

impl Socket {
    fn is_stream(&self) -> bool {
        matches!(self.address, SocketAddress::Tcp(_) | SocketAddress::Unix(_))
    }

    /// Whether each packet says itself where it goes.
    fn is_addressed(&self) -> bool {
        matches!(&self.address, SocketAddress::Udp(address)
            if self.client && address.ip().is_unspecified())
    }

    fn open(&mut self, context: &Context<'_>) -> Result<(), AccessError> {
        if self.client {
            let connected = context
                .environment()
                .connect(&self.address, self.local.as_ref());
            self.connection = Some(connected?);
        } else {
            self.listener = Some(context.environment().listen(&self.address)?);
        }
        Ok(())
    }

    /// Takes the next client that may be served, where there is none.
    fn accept(&mut self, context: &Context<'_>) -> Result<(), AccessError> {
        let is_stream = self.is_stream();
        while let (None, Some(listener)) = (&self.connection, &mut self.listener) {
            let Some(connection) = listener.accept()? else {
                break;
            };
            let admitted = !is_stream || self.guard.admits(context, &*connection);
            if self.verbose && is_stream {
                let what = if admitted { "opened" } else { "rejected" };
                context.chatter(format_args!("{}: {what} connection", context.name()));
            }
            if admitted {
                self.connection = Some(connection);
            }
        }
        Ok(())
    }

    fn exchange(&mut self, context: &mut Context<'_>) -> Result<Fate, AccessError> {
        let (is_stream, is_addressed, serves) =
            (self.is_stream(), self.is_addressed(), !self.client);
        let Some(connection) = &mut self.connection else {
            return Ok(Fate::Alive);
        };
        let guard = &self.guard;
        let fate = self.transport.receive(
            context,
            &mut **connection,
            is_stream,
            |context, connection, _| is_stream || !serves || guard.admits(context, connection),
        )?;
        if fate == Fate::Alive {
            self.transport
                .send(context, &mut **connection, is_stream, is_addressed)?;
        }
        Ok(fate)
    }

    fn serve(&mut self, context: &mut Context<'_>) {
        if let Err(error) = self.accept(context) {
            context.chatter(format_args!("{}: {error}", context.name()));
        }
        match self.exchange(context) {
            Ok(Fate::Alive) => return,
            // A datagram that did not get there says nothing about the next.
            Err(_) if !self.is_stream() => return,
            Ok(Fate::Ended) => {}
            Err(error) => context.chatter(format_args!("{}: {error}", context.name())),
        }
        if self.verbose {
            context.chatter(format_args!("{}: closed connection", context.name()));
        }
        self.connection = None;
        self.transport.give_up();
        // Another client may have been waiting.
        if let Err(error) = self.accept(context) {
            context.chatter(format_args!("{}: {error}", context.name()));
        }
    }
}

impl Element for Socket {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.watch();
        self.open(context)
            .map_err(|error| context.error(format!("{}: {error}", describe(&self.address))))?;
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
        list.read("drops").read("port");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.transport.drops.to_string()),
            "port" => {
                let port = self.listener.as_deref().and_then(Listener::port);
                Ok(port.map_or_else(String::new, |port| port.to_string()))
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

fn describe(address: &SocketAddress) -> String {
    match address {
        SocketAddress::Tcp(address) | SocketAddress::Udp(address) => address.to_string(),
        SocketAddress::Unix(path) | SocketAddress::UnixDatagram(path) => path.clone(),
    }
}
