//! Packets, batches and the buffer pool.
//!
//! A [`Packet`] is one pointer to a buffer: a head that holds what travels with the frame
//! (timestamp, annotations, where the headers are) and the frame behind it. It has one owner;
//! whoever holds it may write it. A [`Batch`] is a list of them, and is what elements pass on.
//! Buffers come from a [`Pool`], over memory shared with a monitor or over the heap, and return
//! to it when the packet is dropped.
//!
//! This crate holds the memory of the packet path, so it is where its `unsafe` lives (`pool`,
//! `packet`, `batch`); it knows no protocol state, no time and no devices.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod annotations;
mod batch;
pub mod checksum;
mod ether_address;
pub mod flow;
mod head;
pub mod headers;
mod packet;
mod pool;
pub mod prefetch;

pub use batch::Batch;
pub use ether_address::{EtherAddress, InvalidEtherAddress};
pub use head::{ANNOTATION_SIZE, BUFFER_CAPACITY, BUFFER_STRIDE, HEAD_SIZE, Offload};
pub use packet::{Packet, PacketKind};
pub use pool::{DEFAULT_HEADROOM, Pool};

#[cfg(test)]
mod tests;
