use alloc::collections::VecDeque;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, Rejected, Signals,
};
use sprat_packet::headers::Ipv4;
use sprat_packet::{Batch, Packet};

pub(super) const DUP_PATH: Class = Class::of::<DupPath>("DupPath")
    .ports("1/2")
    .processing("h/hl");

/// DupPath: spreads IP packets over a push and a pull path.
///
/// ```click
/// DupPath
/// ```
///
/// Packets need their network header annotation set. Those in whose source address the last and the
/// fifth-last bit differ wait, up to 128 of them, to be pulled from output 1; the others are pushed out of
/// output 0. What has no place is dropped.
///
/// See Click's class DupPath, of its folder `local`.
pub(crate) struct DupPath {
    waiting: VecDeque<Packet>,
}

const CAPACITY: usize = 128;

impl Configure for DupPath {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self {
            waiting: VecDeque::with_capacity(CAPACITY),
        })
    }
}

/// Whether a packet is to wait.
fn waits(packet: &Packet) -> bool {
    let ip = packet.network_header().map(Ipv4::new);
    ip.and_then(Result::ok).is_some_and(|ip| {
        let source = ip.source().to_bits();
        (source ^ source >> 4) & 1 != 0
    })
}

impl Element for DupPath {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let Self { waiting } = self;
        batch.filter(|packet| {
            if !waits(&packet) {
                return Some(packet);
            }
            if waiting.len() < CAPACITY {
                waiting.push_back(packet);
            }
            None
        });
        context.set_nonempty(!waiting.is_empty());
        context.forward(0, batch);
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let count = self.waiting.len().min(limit);
        for packet in self.waiting.drain(..count) {
            batch.push(packet);
        }
        context.set_nonempty(!self.waiting.is_empty());
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }
}
