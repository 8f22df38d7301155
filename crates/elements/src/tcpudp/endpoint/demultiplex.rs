use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::{Batch, Packet};

use super::super::segment::headers;

pub(in super::super) const TCP_DEMUX: Class = Class::of::<TCPDemux>("TCPDemux").processing("h/h");

/// TCPDemux: passes TCP segments of connections that there are.
///
/// ```click
/// TCPDemux
/// ```
///
/// The connections are those of the TCPConns behind it: all that a `listen` or `connect` began and no
/// `reset` ended. Packets of others are dropped and reported as from an `unknown flow`. They need their
/// network header annotation set.
///
/// See Click's class TCPDemux, of its folder `local`.
pub(crate) struct TCPDemux {
    /// One or a few: each TCPConn has one.
    flows: Vec<Flow>,
}

/// An end of a connection: an address and a port, zero for any.
pub(super) type End = (Ipv4Addr, u16);

/// The end that is here, and the other.
pub(super) type Flow = (End, End);

const ANY: End = (Ipv4Addr::UNSPECIFIED, 0);

impl Configure for TCPDemux {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self { flows: Vec::new() })
    }
}

impl TCPDemux {
    /// Lets a connection in; whether it was not there.
    pub(super) fn add(&mut self, flow: Flow) -> bool {
        let new = !self.flows.contains(&flow);
        if new {
            self.flows.push(flow);
        }
        new
    }

    pub(super) fn remove(&mut self, flow: Flow) {
        self.flows.retain(|other| *other != flow);
    }

    fn knows(&self, packet: &Packet) -> bool {
        let Some((ip, tcp)) = headers(packet) else {
            return false;
        };
        let here = (ip.destination(), tcp.destination_port());
        let there = (ip.source(), tcp.source_port());
        self.flows.iter().any(|(own, other)| {
            let (address, port) = *own;
            (*own, *other) == (here, there)
                || *other == ANY
                    && (address == ANY.0 || address == here.0)
                    && (port == ANY.1 || port == here.1)
        })
    }
}

impl Element for TCPDemux {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.retain(|packet| {
            let known = self.knows(packet);
            if !known {
                context.chatter(format_args!("reject packet from unknown flow"));
            }
            known
        });
    }
}
