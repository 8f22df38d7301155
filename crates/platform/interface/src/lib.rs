//! What the library OS needs of the place it runs in, and nothing more.
//!
//! A platform is one implementation of [`Platform`]: a sealed image under a monitor, or an ordinary
//! program. Everything above is written against these traits, so an application, the router and
//! each driver can be tried on the host. To add a platform, implement the traits in a crate
//! beside this one and name it where the library OS chooses (`crates/os/src/target.rs`).
//!
//! There is one thread, and one call that waits: [`Platform::yield_until`]. All others return at
//! once, except writes to a console or file that is full, which wait for room by yielding.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

pub use sprat_abi::block::Status;
use sprat_abi::boot::DeviceKind;
use sprat_abi::control::MessageKind;
use sprat_abi::statistics::Region;
use sprat_packet::{Batch, Pool};

/// The place an instance runs in. There is one, for the whole life of the program.
pub trait Platform: 'static {
    /// A device that sends and receives frames.
    type Network: Network;
    /// A device that reads and writes blocks.
    type Block: Block;
    /// A file that may be written.
    type OutputFile: OutputFile;

    /// The name of the target, as `sprat build --target` takes it.
    const NAME: &'static str;

    /// The kinds of devices that it may have.
    const OFFERS: &'static [DeviceKind];

    /// Writes to the console; waits for room where there is too little.
    fn write_console(&self, bytes: &[u8]);

    /// Nanoseconds since some moment before the program began. Never goes back.
    fn monotonic(&self) -> u64;

    /// Nanoseconds since the Unix epoch, as the host sees it: it may be set forward or back.
    fn wall(&self) -> i64;

    /// Random bytes that no other instance was given; the same ones at every call.
    fn seed(&self) -> [u8; 32];

    /// The configuration text as the user wrote it.
    fn configuration(&self) -> &'static [u8];

    /// The boot parameters, each a `KEY=VALUE` (or a lone `KEY`), in the order given.
    fn parameters(&self) -> Vec<&'static [u8]>;

    /// Where packets' buffers come from: the memory that the network devices send from.
    fn pool(&self) -> Pool;

    /// The network devices, in the order of their table. The first call takes them.
    fn take_networks(&self) -> Vec<Self::Network>;

    /// The block devices, in the order of their table. The first call takes them.
    fn take_blocks(&self) -> Vec<Self::Block>;

    /// The granted files to read: name as granted, and whole contents.
    fn input_files(&self) -> Vec<(&'static str, &'static [u8])>;

    /// The granted files to write. The first call takes them.
    fn take_output_files(&self) -> Vec<Self::OutputFile>;

    /// Gives the processor back until something happened or the monotonic clock reaches `deadline`;
    /// `None` waits for an event alone, and a deadline that has passed only lets others work.
    fn yield_until(&self, deadline: Option<u64>) -> Wake;

    /// The next request from outside, if one waits.
    fn next_request(&self) -> Option<Request>;

    /// Answers the request with this number: one of [`sprat_abi::control::status`] and what goes
    /// with it. Waits for room where there is too little.
    fn respond(&self, request: u64, status: u32, answer: &[u8]);

    /// Counters and events that can be read from outside at any time, without the instance's help.
    fn statistics(&self) -> Option<&'static Region>;

    /// Bytes of heap in use, and bytes there are, where that is known.
    fn heap(&self) -> Option<(usize, usize)> {
        None
    }

    /// Ends the program: zero for success.
    fn exit(&self, status: i32) -> !;
}

/// Why [`Platform::yield_until`] returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// Bit n: the network device with [`Network::index`] n may have frames or room, or the block device
    /// with [`Block::index`] n may have finished something.
    pub ready: u64,
    /// A request waits: see [`Platform::next_request`].
    pub request: bool,
    /// The program should finish what it holds and end.
    pub stop: bool,
    /// Monotonic time at the return, in nanoseconds.
    pub now: u64,
}

/// A network device.
pub trait Network {
    /// Its name: `eth0`.
    fn name(&self) -> &'static str;

    /// Its bit in [`Wake::ready`].
    fn index(&self) -> usize;

    /// Its own Ethernet address.
    fn address(&self) -> [u8; 6];

    /// Longest frame in bytes, Ethernet header included, frame check sequence not.
    fn frame_limit(&self) -> usize;

    /// Adds at most `limit` frames that arrived to the end of `frames`, in order; returns how many.
    /// Allocates nothing per frame that fits one buffer.
    fn receive(&mut self, frames: &mut Batch, limit: usize) -> usize;

    /// Sends frames from the front of `frames`, as many as there is room for, and returns how many
    /// it took; the others stay. A frame longer than [`Network::frame_limit`] is taken, dropped
    /// and counted.
    fn transmit(&mut self, frames: &mut Batch) -> usize;

    /// How many frames [`Network::transmit`] would take now.
    fn room(&self) -> usize;

    /// Whether frames wait to be received.
    fn has_frames(&self) -> bool;
}

/// A device that reads and writes blocks. Requests are begun and asked after; bytes are copied in and
/// out, so a request that nobody asks after any more does no harm.
pub trait Block {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Its bit in [`Wake::ready`].
    fn index(&self) -> usize;

    /// Bytes of a block: a power of two.
    fn block_size(&self) -> usize;

    /// How many blocks there are.
    fn block_count(&self) -> u64;

    /// Most bytes that one request moves: whole blocks, one at least.
    fn transfer_limit(&self) -> usize;

    /// Begins a request; its ticket, or nothing while as many are under way as can be.
    fn begin(&mut self, request: BlockRequest<'_>) -> Option<u32>;

    /// Whether a request is finished, and how it went: then its ticket is void, and what was read is in
    /// `data`, which is as long as was asked for.
    fn finish(&mut self, ticket: u32, data: &mut [u8]) -> Option<Status>;

    /// Says that nobody will ask after a request.
    fn forget(&mut self, ticket: u32);
}

/// What is asked of a [`Block`] device. Lengths are of whole blocks, one at least, and at most
/// [`Block::transfer_limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockRequest<'a> {
    /// Read `length` bytes from block `first` on.
    Read {
        /// The first block.
        first: u64,
        /// How many bytes.
        length: usize,
    },
    /// Write bytes from block `first` on.
    Write {
        /// The first block.
        first: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// Put everything that was written where it outlives the host.
    Flush,
}

/// A file of the host that may be written, front to back.
pub trait OutputFile {
    /// Its name as granted.
    fn name(&self) -> &'static str;

    /// Writes all of it; waits for room where there is too little.
    fn write(&mut self, bytes: &[u8]);
}

/// A request from outside: to read or write a handler, or to hand over state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number, for the answer.
    pub number: u64,
    /// What it asks for; nothing when this version does not know.
    pub kind: Option<MessageKind>,
    /// What it is about: for reads and writes the handler, `counter.count`.
    pub name: Vec<u8>,
    /// The argument of a read handler that takes one, or the value to write.
    pub data: Vec<u8>,
}
