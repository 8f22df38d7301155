//! What the elements with sockets have in common: packets to and from a connection.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use sprat_click::arguments::Raw;
use sprat_click::environment::{AccessError, Connection};
use sprat_click::{Arguments, Context};
use sprat_packet::{Batch, Packet};

/// Packets pulled at a time.
const BURST: usize = 32;

/// Packets read each time the socket has some, so that others get their turn.
const MOST_READ: usize = 64;

/// Packets that wait for room in the socket; what is pushed beyond is dropped.
const MOST_WAITING: usize = 1000;

/// Room before a packet, as Click leaves it.
const HEADROOM: usize = 28;

/// Longest packet received, unless SNAPLEN says otherwise.
const SNAPLEN: usize = 2048;

/// Packets to and from a connection.
pub(super) struct Transport {
    timestamp: bool,
    headroom: usize,
    buffer: Vec<u8>,
    waiting: VecDeque<Packet>,
    /// How much of the first waiting packet is written, on a stream.
    written: usize,
    pulled: Batch,
    pub(super) drops: u64,
}

/// Whether a connection can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Alive,
    Ended,
}

impl Transport {
    /// Reads SNAPLEN, TIMESTAMP and HEADROOM, and accepts SNDBUF and RCVBUF, which the system decides.
    pub(super) fn configure(arguments: &mut Arguments<'_>) -> Self {
        let snaplen = arguments.keyword::<u16>("SNAPLEN");
        let timestamp = arguments.keyword("TIMESTAMP").unwrap_or(true);
        let headroom = arguments.keyword::<u16>("HEADROOM");
        for ignored in ["SNDBUF", "RCVBUF"] {
            arguments.keyword::<Raw>(ignored);
        }
        Self {
            timestamp,
            headroom: headroom.map_or(HEADROOM, usize::from),
            buffer: vec![0; snaplen.map_or(SNAPLEN, usize::from).max(1)],
            waiting: VecDeque::new(),
            written: 0,
            pulled: Batch::new(),
            drops: 0,
        }
    }

    /// Reads what has come and puts it out as packets, those that `admits` lets in by where they came
    /// from and what they hold. On a stream nothing read is its end.
    pub(super) fn receive(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut dyn Connection,
        is_stream: bool,
        admits: impl Fn(&mut Context<'_>, &dyn Connection, &[u8]) -> bool,
    ) -> Result<Fate, AccessError> {
        for _ in 0..MOST_READ {
            let Some(count) = connection.read(&mut self.buffer)? else {
                break;
            };
            if count == 0 && is_stream {
                return Ok(Fate::Ended);
            }
            if !admits(context, connection, &self.buffer[..count]) {
                self.drops += 1;
                continue;
            }
            let mut packet = context.pool().packet_uninitialised(self.headroom, count);
            packet.data_mut().copy_from_slice(&self.buffer[..count]);
            if self.timestamp {
                packet.set_timestamp(context.timestamp().0);
            }
            context.count_arrived(1);
            if context.outputs() > 0 {
                context.emit(0, packet);
            }
        }
        Ok(Fate::Alive)
    }

    /// Takes packets that were pushed.
    pub(super) fn accept(&mut self, batch: &mut Batch) {
        let room = MOST_WAITING.saturating_sub(self.waiting.len());
        let taken = room.min(batch.len());
        self.waiting.extend(batch.drain_front(taken));
        self.drops += batch.len() as u64;
        batch.clear();
    }

    /// Sends what waits, as far as there is room, and on a pull path what can be pulled besides.
    /// With `addressed` each datagram goes where its destination annotation says.
    pub(super) fn send(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut dyn Connection,
        is_stream: bool,
        addressed: bool,
    ) -> Result<(), AccessError> {
        let pulls = context.inputs() > 0 && context.input_pulls(0);
        loop {
            if self.waiting.is_empty() && pulls {
                context.pull(0, BURST, &mut self.pulled);
                self.waiting.extend(self.pulled.drain());
            }
            let Some(packet) = self.waiting.front() else {
                return Ok(());
            };
            let bytes = &packet.data()[self.written..];
            let sent = if addressed {
                connection.write_to(bytes, packet.annotations().destination().into())?
            } else {
                connection.write(bytes)?
            };
            let Some(count) = sent else { return Ok(()) };
            if is_stream && count < bytes.len() {
                self.written += count;
                continue;
            }
            self.written = 0;
            context.count_left(1);
            self.waiting.pop_front();
        }
    }

    /// Gives up what waits for a connection that has ended.
    pub(super) fn give_up(&mut self) {
        self.written = 0;
        self.drops += self.waiting.len() as u64;
        self.waiting.clear();
    }
}

/// A connection that is open, or not.
pub(super) type Open = Option<Box<dyn Connection>>;
