use core::net::Ipv4Addr;

use sprat_click::arguments::{TcpPort, Word};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, ElementId, HandlerError,
    HandlerList, Rejected,
};
use sprat_packet::headers::tcp_flags;
use sprat_packet::{Batch, Packet};

use super::super::segment::{headers, sequence_length, unsummed};
use super::copy::{FlowID, Said, with_tcp};
use super::demultiplex::{Flow, TCPDemux};
use super::{Direction, nearest, of_no_connection};
use crate::handler_value::complaints;

pub(in super::super) const TCP_CONN: Class = Class::of::<TCPConn>("TCPConn")
    .ports("2/3")
    .processing("hl/hlh");

/// TCPConn: opens a TCP connection.
///
/// ```click
/// TCPConn
/// ```
///
/// Takes TCP/IP packets with their network header annotation set. Those that have come go from input 0 to
/// output 0; those to be sent are pulled from input 1 through output 1, once there is a connection, and
/// get its addresses and ports and their sequence numbers. Output 2 gives the SYN. What comes goes through
/// a TCPDemux, which it finds by itself and tells of its connection. Checksums are left: put SetTCPChecksum
/// and SetIPChecksum behind.
///
/// Handlers: `ctrl` (write): `connect SADDR SPORT DADDR DPORT` opens a connection to DADDR and DPORT;
/// `listen SADDR SPORT` takes packets for itself and drops them, as Click does, which has no more of it
/// either. `reset` (write): forget the connection, so that another may be opened.
///
/// See Click's class TCPConn, of its folder `local`.
pub(crate) struct TCPConn {
    demultiplexer: Option<ElementId>,
    state: State,
    next: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Listening(Flow),
    Connecting(Flow),
    Connected(Flow),
}

impl Configure for TCPConn {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self {
            demultiplexer: None,
            state: State::Idle,
            next: 0,
        })
    }
}

const SYN_AND_ACK: u8 = tcp_flags::SYN | tcp_flags::ACK;

impl TCPConn {
    /// Has the demultiplexer do something.
    fn tell<R>(&self, context: &Context<'_>, what: impl FnOnce(&mut TCPDemux) -> R) -> Option<R> {
        context.with::<TCPDemux, _>(self.demultiplexer?, |it, _| what(it))
    }

    /// Takes note of a segment that has come; whether it may go on.
    fn note(&mut self, packet: &Packet) -> bool {
        if let State::Listening(_) = self.state {
            return false;
        }
        if let (State::Connecting(flow), Some((_, tcp))) = (self.state, headers(packet))
            && tcp.flags() & SYN_AND_ACK == SYN_AND_ACK
        {
            self.state = State::Connected(flow);
            self.next = self.next.wrapping_add(1);
        }
        true
    }

    fn begin(&mut self, context: &Context<'_>, state: State, flow: Flow) -> bool {
        let added = self.tell(context, |it| it.add(flow)) == Some(true);
        if added {
            self.state = state;
        }
        added
    }

    fn send_syn(&mut self, context: &mut Context<'_>, (own, other): Flow) {
        self.next = context.random();
        let (mut network, mut header) = of_no_connection(tcp_flags::SYN);
        (network.source, header.source_port) = own;
        (network.destination, header.destination_port) = other;
        header.sequence = self.next;
        let packet = unsummed(context, network, header, &[]);
        context.emit(2, packet);
    }

    fn control(&mut self, context: &mut Context<'_>, value: &str) -> Result<(), HandlerError> {
        if self.state != State::Idle {
            return Err(HandlerError::failed("TCPConn already active"));
        }
        let names = context.names();
        let mut arguments = Arguments::from_words(value, &names);
        let action = arguments.required::<Word>("ACTION");
        let source = arguments.required::<Ipv4Addr>("SRC");
        let port = arguments.required("SPORT").map(|TcpPort(port)| port);
        let destination = arguments.position::<Ipv4Addr>("DST");
        let other_port = arguments.position("DPORT").map_or(0, |TcpPort(port)| port);
        let finished = arguments.finish();
        let (Ok(()), Ok(Word(action)), Ok(source), Ok(port)) = (finished, action, source, port)
        else {
            return Err(complaints(&arguments));
        };
        let own = (source, port);
        let any = Ipv4Addr::UNSPECIFIED;
        match action.as_str() {
            "connect" => {
                let flow = (own, (destination.unwrap_or(any), other_port));
                if !self.begin(context, State::Connecting(flow), flow) {
                    return Err(HandlerError::failed("cannot connect"));
                }
                self.send_syn(context, flow);
            }
            "listen" => {
                let flow = (own, (any, 0));
                if !self.begin(context, State::Listening(flow), flow) {
                    return Err(HandlerError::failed("cannot listen"));
                }
            }
            _ => return Err(HandlerError::failed("action must be connect or listen")),
        }
        Ok(())
    }
}

impl Element for TCPConn {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.demultiplexer = nearest::<TCPDemux>(context, Direction::Upstream);
        if self.demultiplexer.is_none() {
            return Err(context.error("need at least 1 upstream TCPDemux"));
        }
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        batch.retain(|packet| self.note(packet));
        context.forward(0, batch);
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let State::Connected((own, other)) = self.state else {
            return;
        };
        context.pull(1, limit, batch);
        let flow = FlowID::new(own, other);
        for packet in batch.iter_mut() {
            let length = headers(packet).map_or(0, |(_, tcp)| sequence_length(&tcp));
            flow.write(packet);
            let sequence = self.next;
            with_tcp(packet, |_, tcp| tcp.set_sequence(sequence));
            self.next = sequence.wrapping_add(length);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.write("ctrl").button("reset");
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "ctrl" => self.control(context, value),
            "reset" => {
                if let State::Listening(flow) | State::Connecting(flow) | State::Connected(flow) =
                    self.state
                {
                    self.tell(context, |it| it.remove(flow));
                }
                self.state = State::Idle;
                Ok(())
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}
