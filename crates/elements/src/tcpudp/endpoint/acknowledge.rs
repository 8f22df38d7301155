use core::time::Duration;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, ElementId, Rejected,
};
use sprat_packet::headers::tcp_flags;
use sprat_packet::{Batch, Packet};

use super::super::segment::{headers, sequence_length, unsummed};
use super::buffer::TCPBuffer;
use super::copy::with_tcp;
use super::{Direction, nearest, of_no_connection};

pub(in super::super) const TCP_ACK: Class = Class::of::<TCPAck>("TCPAck")
    .ports("2/3")
    .processing("aa/aah");

/// TCPAck: acknowledges TCP segments.
///
/// ```click
/// TCPAck([keyword DELAY])
/// ```
///
/// Takes TCP/IP packets with their network header annotation set. Those that have come go from input 0 to
/// output 0, towards a TCPBuffer, which it finds by itself and which knows what has come; those to be sent
/// from input 1 to output 1, and get the acknowledgement number and its flag. Where none has been sent DELAY (20 ms)
/// after a segment with data came, output 2 gives a segment that says it, with addresses, ports and
/// sequence number zero: CopyFlowID and CopyTCPSeq set them. All are dropped until one way or the other a
/// SYN with an acknowledgement has passed; SYN, FIN and RST are not acknowledged, nor is what the
/// TCPBuffer has no room for, which is dropped. A segment out of order is reported. Checksums are left:
/// put SetTCPChecksum and SetIPChecksum behind.
///
/// See Click's class TCPAck, of its folder `local`.
pub(crate) struct TCPAck {
    delay: Duration,
    buffer: Option<ElementId>,
    /// The acknowledgement number, once known.
    next: Option<u32>,
    /// Whether there is something to acknowledge.
    owes: bool,
}

impl Configure for TCPAck {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let delay = arguments.keyword::<Duration>("DELAY");
        arguments.finish()?;
        Ok(Self {
            delay: delay.unwrap_or(Duration::from_millis(20)),
            buffer: None,
            next: None,
            owes: false,
        })
    }
}

const SYN_AND_ACK: u8 = tcp_flags::SYN | tcp_flags::ACK;

impl TCPAck {
    /// Asks the buffer that it found.
    fn ask<R>(&self, context: &Context<'_>, question: impl FnOnce(&TCPBuffer) -> R) -> Option<R> {
        context.with::<TCPBuffer, _>(self.buffer?, |buffer, _| question(buffer))
    }

    /// Takes note of a segment that has come; whether it may go on.
    fn note(&mut self, context: &Context<'_>, packet: &Packet) -> bool {
        let Some((_, tcp)) = headers(packet) else {
            return false;
        };
        if self.next.is_none() && tcp.flags() & SYN_AND_ACK == SYN_AND_ACK {
            self.next = Some(tcp.sequence().wrapping_add(1));
        }
        let Some(next) = self.next else {
            return false;
        };
        if tcp.has_any(tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST) {
            return true;
        }
        if self.ask(context, TCPBuffer::is_full) == Some(true) {
            return false;
        }
        if tcp.sequence() == next {
            let next = next.wrapping_add(sequence_length(&tcp));
            let missing = self.ask(context, |buffer| buffer.next_missing(next));
            self.next = Some(missing.flatten().unwrap_or(next));
        } else {
            context.chatter(format_args!(
                "seqno < ack_nxt: out of order or retransmitted packet"
            ));
        }
        self.owes = true;
        if context.timer(0).is_none() {
            context.set_timer_after(0, self.delay);
        }
        true
    }

    /// Writes the acknowledgement number to a segment that is sent; whether it may go on.
    fn write(&mut self, packet: &mut Packet) -> bool {
        let Some((_, tcp)) = headers(packet) else {
            return false;
        };
        if tcp.flags() & SYN_AND_ACK == SYN_AND_ACK {
            self.next = Some(tcp.acknowledgement());
        }
        let Some(next) = self.next else {
            return false;
        };
        self.owes = false;
        with_tcp(packet, |_, tcp| {
            tcp.set_acknowledgement(next);
            tcp.set_flags(tcp.flags() | tcp_flags::ACK);
        });
        true
    }

    fn pass(&mut self, context: &Context<'_>, port: usize, batch: &mut Batch) {
        batch.retain(|packet| {
            if port == 0 {
                self.note(context, packet)
            } else {
                self.write(packet)
            }
        });
    }
}

impl Element for TCPAck {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.buffer = nearest::<TCPBuffer>(context, Direction::Downstream);
        if self.buffer.is_none() {
            return Err(context.error("need at least 1 downstream TCPBuffer"));
        }
        // What is acknowledged depends on what the buffer holds when the next segment comes.
        context.observe_order();
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        self.pass(context, port, batch);
        context.forward(port, batch);
    }

    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        context.pull(port, limit, batch);
        self.pass(context, port, batch);
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        let (true, Some(next)) = (core::mem::take(&mut self.owes), self.next) else {
            return;
        };
        let (network, mut header) = of_no_connection(tcp_flags::ACK);
        header.acknowledgement = next;
        let packet = unsummed(context, network, header, &[]);
        context.emit(2, packet);
    }
}
