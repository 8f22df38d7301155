//! The host's side of pools, network rings and block devices: who owns which buffer, and every check
//! there is.
//!
//! The host keeps the buffers that are its to fill on a private stack, last in, first out. A frame that
//! leaves through a transmit ring leaves its buffer on that stack, to be filled next, while its lines
//! are still in the cache. So what an instance costs in cache and in memory follows the batches it
//! handles, not the length of its rings.
//!
//! The host keeps no more buffers than its share. What an instance sends beyond that stays the
//! instance's: the drained slot says so ([`Slot::RETURNED`](crate::frame::Slot::RETURNED)), and the instance takes the buffer back
//! when it next uses the slot. So one that makes all its packets itself never runs out; nor does one
//! whose queues hold all that it has received, since it says which buffers it needs back
//! ([`Slot::OWN`](crate::frame::Slot::OWN)).
//!
//! Nothing read from shared memory is used before it was checked, and what is used is the copy that
//! was checked. A buffer is accepted from the instance only if it is the instance's at that moment, so
//! no lie can make the host fill one buffer for two frames.

mod block;
mod frame;
mod pool;
mod port;

pub use block::{BlockPort, Blocks, Geometry, Stretch};
pub use frame::Frame;
pub use pool::BufferPool;
pub use port::{Delivery, Filler, NetworkPort};

use crate::control::ControlLie;
use crate::frame::SlotLie;
use crate::ring::RingLie;
use core::fmt;

/// A ring that the instance broke. The instance is to be ended: what its rings hold means nothing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// An index of a device's receive ring.
    ReceiveIndex(RingLie),
    /// An index of a device's transmit ring.
    TransmitIndex(RingLie),
    /// A slot of a device's transmit ring.
    TransmitSlot(SlotLie),
    /// An index of the supply ring.
    SupplyIndex(RingLie),
    /// A buffer in the supply ring.
    SupplyBuffer(SlotLie),
    /// An index of a block device's ring of requests.
    RequestIndex(RingLie),
    /// An index of a block device's ring of answers.
    AnswerIndex(RingLie),
    /// A block device's request names bytes outside of the data area.
    BlockStretch {
        /// Where they begin.
        offset: u32,
        /// How many there are.
        length: u32,
        /// Bytes of the area.
        size: u32,
    },
    /// An index of the console ring.
    Console(RingLie),
    /// An index of the ring of a file being written.
    File(RingLie),
    /// An index or a message of a control ring.
    Control(ControlLie),
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReceiveIndex(lie) => write!(f, "receive ring: {lie}"),
            Self::TransmitIndex(lie) => write!(f, "transmit ring: {lie}"),
            Self::TransmitSlot(lie) => write!(f, "transmit ring: {lie}"),
            Self::SupplyIndex(lie) => write!(f, "supply ring: {lie}"),
            Self::SupplyBuffer(lie) => write!(f, "supply ring: {lie}"),
            Self::RequestIndex(lie) => write!(f, "ring of block requests: {lie}"),
            Self::AnswerIndex(lie) => write!(f, "ring of block answers: {lie}"),
            Self::BlockStretch {
                offset,
                length,
                size,
            } => write!(
                f,
                "ring of block requests: offset {offset} and length {length} reach past the {size} bytes of the data area"
            ),
            Self::Console(lie) => write!(f, "console ring: {lie}"),
            Self::File(lie) => write!(f, "ring of a file being written: {lie}"),
            Self::Control(lie) => write!(f, "control ring: {lie}"),
        }
    }
}

impl core::error::Error for Lie {}

#[cfg(test)]
mod tests;
