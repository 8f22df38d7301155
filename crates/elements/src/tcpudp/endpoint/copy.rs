use core::net::Ipv4Addr;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Ipv4Mut, TcpMut, protocol};
use sprat_packet::{Batch, Packet};

use super::super::segment::{before, headers};

pub(in super::super) const COPY_FLOW_ID: Class =
    Class::of::<Copier<FlowID>>("CopyFlowID").ports("2/2");
pub(in super::super) const COPY_TCP_SEQ: Class =
    Class::of::<Copier<Sequence>>("CopyTCPSeq").ports("2/2");

/// CopyFlowID, CopyTCPSeq: write what some TCP segments say to others.
///
/// ```click
/// CopyFlowID
/// CopyTCPSeq
/// ```
///
/// What goes from input 0 to output 0 is remembered, what goes from input 1 to output 1 gets it: of
/// CopyFlowID the addresses and ports of the first segment, of CopyTCPSeq the highest sequence number.
/// Packets need their network header annotation set; before there is anything to remember they stay as
/// they are. Checksums are left: put SetTCPChecksum and SetIPChecksum behind.
///
/// Handler: `reset` (write): forget it.
///
/// See Click's classes CopyFlowID and CopyTCPSeq, of its folder `local`.
struct Copier<T> {
    remembered: Option<T>,
}

/// Something that segments say.
pub(super) trait Said: Copy + 'static {
    /// What a segment says, where something else was remembered.
    fn of(packet: &Packet, remembered: Option<Self>) -> Option<Self>;

    /// Writes it to a segment.
    fn write(self, packet: &mut Packet);
}

#[derive(Clone, Copy)]
pub(super) struct FlowID {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    source_port: u16,
    destination_port: u16,
}

#[derive(Clone, Copy)]
struct Sequence(u32);

/// Changes the headers of a packet that holds a segment.
pub(super) fn with_tcp(packet: &mut Packet, change: impl FnOnce(&mut [u8], &mut TcpMut<'_>)) {
    let Some(network) = packet.network_header_mut() else {
        return;
    };
    let Ok(ip) = Ipv4Mut::new(network) else {
        return;
    };
    if ip.protocol() != protocol::TCP || !ip.is_first_fragment() {
        return;
    }
    let length = ip.header_length();
    // At least 20 bytes, as the view has found them.
    let (network, rest) = network.split_at_mut(length);
    if let Ok(mut tcp) = TcpMut::new(rest) {
        change(network, &mut tcp);
    }
}

impl FlowID {
    pub(super) const fn new(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) -> Self {
        Self {
            source: source.0,
            destination: destination.0,
            source_port: source.1,
            destination_port: destination.1,
        }
    }
}

impl Said for FlowID {
    fn of(packet: &Packet, remembered: Option<Self>) -> Option<Self> {
        if remembered.is_some() {
            return remembered;
        }
        let (ip, tcp) = headers(packet)?;
        Some(Self::new(
            (ip.source(), tcp.source_port()),
            (ip.destination(), tcp.destination_port()),
        ))
    }

    fn write(self, packet: &mut Packet) {
        with_tcp(packet, |network, tcp| {
            network[12..16].copy_from_slice(&self.source.octets());
            network[16..20].copy_from_slice(&self.destination.octets());
            tcp.set_source_port(self.source_port);
            tcp.set_destination_port(self.destination_port);
        });
    }
}

impl Said for Sequence {
    fn of(packet: &Packet, remembered: Option<Self>) -> Option<Self> {
        let (_, tcp) = headers(packet)?;
        let sequence = tcp.sequence();
        match remembered {
            Some(Self(highest)) if !before(highest, sequence) => None,
            _ => Some(Self(sequence)),
        }
    }

    fn write(self, packet: &mut Packet) {
        with_tcp(packet, |_, tcp| tcp.set_sequence(self.0));
    }
}

impl<T: Said> Configure for Copier<T> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self { remembered: None })
    }
}

impl<T: Said> Copier<T> {
    fn pass(&mut self, port: usize, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            if port == 0 {
                self.remembered = T::of(packet, self.remembered).or(self.remembered);
            } else if let Some(said) = self.remembered {
                said.write(packet);
            }
        }
    }
}

impl<T: Said> Element for Copier<T> {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        self.pass(port, batch);
        context.forward(port, batch);
    }

    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        context.pull(port, limit, batch);
        self.pass(port, batch);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.button("reset");
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        if name != "reset" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        self.remembered = None;
        Ok(())
    }
}
