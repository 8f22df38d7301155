//! An in-memory Ethernet link between two ends, on one thread or two.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sprat_packet::{Batch, Packet, Pool};

use crate::Wire;
use crate::alarm::Alarm;

#[derive(Debug, Default)]
struct Direction {
    frames: VecDeque<(i64, Vec<u8>)>,
    closed: bool,
    /// The place that receives, once one does.
    alarm: Option<Arc<Alarm>>,
}

/// One end of a link. Dropping it closes the link: the other end still gets what was sent.
#[derive(Debug)]
pub struct Link {
    incoming: Arc<Mutex<Direction>>,
    outgoing: Arc<Mutex<Direction>>,
}

/// A link; what is sent into one end comes out of the other, in order, with nothing lost.
#[must_use]
pub fn link() -> (Link, Link) {
    let (one, other) = (
        Arc::<Mutex<Direction>>::default(),
        Arc::<Mutex<Direction>>::default(),
    );
    (
        Link {
            incoming: one.clone(),
            outgoing: other.clone(),
        },
        Link {
            incoming: other,
            outgoing: one,
        },
    )
}

fn lock(direction: &Mutex<Direction>) -> MutexGuard<'_, Direction> {
    direction.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// Sends a frame that says it was captured at `timestamp`, nanoseconds since the Unix epoch.
    pub fn send(&self, timestamp: i64, frame: &[u8]) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.frames.push_back((timestamp, frame.to_vec()));
        if let Some(alarm) = &outgoing.alarm {
            alarm.ring();
        }
    }

    /// The next frame that came, with its timestamp.
    #[must_use]
    pub fn receive(&self) -> Option<(i64, Vec<u8>)> {
        lock(&self.incoming).frames.pop_front()
    }

    /// Rings `alarm` whenever a frame comes or the other end closes.
    pub(crate) fn watch(&self, alarm: Arc<Alarm>) {
        lock(&self.incoming).alarm = Some(alarm);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.closed = true;
        if let Some(alarm) = &outgoing.alarm {
            alarm.ring();
        }
    }
}

impl Wire for Link {
    fn receive(&mut self, pool: &Pool, frames: &mut Batch, limit: usize) -> usize {
        let mut incoming = lock(&self.incoming);
        let count = incoming.frames.len().min(limit);
        for (timestamp, frame) in incoming.frames.drain(..count) {
            let mut packet = pool.packet(&frame);
            packet.set_timestamp(timestamp);
            frames.push(packet);
        }
        count
    }

    fn send(&mut self, packet: &Packet) {
        Link::send(self, packet.timestamp(), packet.data());
    }

    fn has_frames(&self) -> bool {
        !lock(&self.incoming).frames.is_empty()
    }

    fn is_open(&self) -> bool {
        let incoming = lock(&self.incoming);
        !incoming.closed || !incoming.frames.is_empty()
    }
}
