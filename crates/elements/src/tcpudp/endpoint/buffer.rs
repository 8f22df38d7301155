use alloc::collections::VecDeque;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, Rejected, Signals,
};
use sprat_packet::{Batch, Packet};

use super::super::segment::{before, headers, sequence_length};

pub(in super::super) const TCP_BUFFER: Class =
    Class::of::<TCPBuffer>("TCPBuffer").processing("h/l");

/// TCPBuffer: puts TCP segments in order.
///
/// ```click
/// TCPBuffer([SKIP])
/// ```
///
/// Takes TCP/IP packets with their network header annotation set, and gives them in the order of their
/// sequence numbers. It waits for one that is missing, or with SKIP true (false) does not. Segments from
/// before those that it gave, and those that begin where another does are dropped; one that holds
/// something takes the place of an empty one. It holds 1024 segments.
///
/// See Click's class TCPBuffer, of its folder `local`.
pub(crate) struct TCPBuffer {
    skip: bool,
    /// Their sequence numbers, how far they move it on, and they, in order.
    segments: VecDeque<(u32, u32, Packet)>,
    /// What follows those that were given.
    next: Option<u32>,
}

/// Segments that it holds at most.
const CAPACITY: usize = 1024;

impl Configure for TCPBuffer {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let skip = arguments.position("SKIP").unwrap_or(false);
        arguments.finish()?;
        Ok(Self {
            skip,
            segments: VecDeque::new(),
            next: None,
        })
    }
}

impl TCPBuffer {
    /// Whether it would drop what comes next.
    pub(super) fn is_full(&self) -> bool {
        self.segments.len() >= CAPACITY
    }

    /// The first sequence number from `position` on that has not come; `None` before anything has.
    pub(super) fn next_missing(&self, position: u32) -> Option<u32> {
        let first = self.segments.front().map(|(sequence, ..)| *sequence);
        let mut expected = self.next.or(first)?;
        for &(sequence, length, _) in &self.segments {
            if sequence != expected {
                if !before(expected, position) {
                    return Some(expected);
                }
                if before(position, sequence) {
                    return Some(position);
                }
            }
            expected = sequence.wrapping_add(length);
        }
        Some(if before(expected, position) {
            position
        } else {
            expected
        })
    }

    fn hold(&mut self, packet: Packet) {
        let Some((_, tcp)) = headers(&packet) else {
            return;
        };
        let (sequence, length) = (tcp.sequence(), sequence_length(&tcp));
        if self.is_full() || self.next.is_some_and(|next| before(sequence, next)) {
            return;
        }
        let place = self
            .segments
            .partition_point(|(other, ..)| before(*other, sequence));
        match self.segments.get_mut(place) {
            Some(there) if there.0 == sequence => {
                if there.1 == 0 && length > 0 {
                    *there = (sequence, length, packet);
                }
            }
            _ => self.segments.insert(place, (sequence, length, packet)),
        }
    }

    /// Whether the first may be given.
    fn is_ready(&self) -> bool {
        let first = self.segments.front();
        first.is_some_and(|(sequence, ..)| {
            self.skip || self.next.is_none_or(|next| next == *sequence)
        })
    }
}

impl Element for TCPBuffer {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            self.hold(packet);
        }
        context.set_nonempty(self.is_ready());
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        while batch.len() < limit && self.is_ready() {
            let Some((sequence, length, packet)) = self.segments.pop_front() else {
                break;
            };
            self.next = Some(sequence.wrapping_add(length));
            batch.push(packet);
        }
        context.set_nonempty(self.is_ready());
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }
}
