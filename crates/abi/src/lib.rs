//! The contract between an instance and its monitor.
//!
//! An instance is a static program that runs in a sealed address space. It meets the world in exactly
//! two calls ([`call::YieldCall`] and [`call::ExitCall`]) and in memory it shares with its monitor.
//! This crate is all of that contract and nothing else: the layouts, asserted at compile time, and the
//! code that touches shared memory, for both sides.
//!
//! # How an instance meets its monitor
//!
//! 1. The monitor reads the [manifest] note of the image: what it wants.
//! 2. It maps the image, a stack, a heap and the shared regions, fills in the
//!    [boot page](boot::BootPage) and enters the image with that page's address in RDI.
//! 3. The instance [attaches](guest::Contract::attach): it checks magic and version and gets its rings.
//! 4. It works until it has nothing to do, writes its deadline in the [call block](call::CallBlock) and
//!    calls `yield`. The monitor drains what was sent, fills what arrived, and returns with the time and
//!    a bitmap of the devices that have something.
//!
//! # How a frame travels
//!
//! A [pool](frame) holds buffers of [`frame::BUFFER_STRIDE`] bytes. The host takes one that is its to
//! fill, copies a frame in, and puts a [slot](frame::Slot) in the device's receive ring. The instance
//! handles the frame where it lies and puts a slot, often naming the same buffer, in a transmit ring.
//! The host copies the frame out, once, and the buffer is its own again. Buffers of frames the instance
//! dropped go back through the supply ring.
//!
//! # How a block travels
//!
//! The instance puts what is to be written in a device's [data area](block) and a request in its ring.
//! The host moves the bytes between there and what holds the blocks, once, and answers.
//!
//! # What this crate refuses to do
//!
//! It does not trust: whatever one side reads from the other is checked on the copy that is used
//! ([`ring::RingLie`], [`frame::SlotLie`]). It has no dependencies, no allocation on the guest's side,
//! and no knowledge of how either side is built.
#![no_std]

#[cfg(any(test, feature = "host"))]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod block;
pub mod boot;
pub mod bytes;
pub mod call;
pub mod clock;
pub mod control;
pub mod disk;
pub mod frame;
#[cfg(not(loom))]
pub mod guest;
#[cfg(all(feature = "host", not(loom)))]
pub mod host;
pub mod manifest;
pub mod ring;
pub mod statistics;
mod sync;

/// Version of the contract that this crate describes. Monitor and image must agree exactly.
pub const ABI_VERSION: u32 = 1;

/// Size of a page, the unit of protection.
pub const PAGE_SIZE: u64 = 4096;

/// Lowest address at which a segment of an image may lie. Below are the shared regions.
pub const IMAGE_BASE: u64 = 0x0100_0000;

/// First address past the last at which a segment of an image may lie.
pub const IMAGE_END: u64 = 0x2000_0000;

/// Size of a cache line: what keeps one side's index from slowing the other's.
pub const CACHE_LINE: usize = 64;

const _: () = assert!(
    size_of::<usize>() == 8,
    "the contract is for 64-bit machines"
);

/// A pointer to an address of the contract. Making it is safe; using it is not.
#[must_use]
pub fn pointer(address: u64) -> *mut u8 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "usize is 64 bits wide, asserted above"
    )]
    core::ptr::with_exposed_provenance_mut(address as usize)
}

/// A count of bytes as this machine counts them.
#[must_use]
pub const fn length(bytes: u64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "usize is 64 bits wide, asserted above"
    )]
    {
        bytes as usize
    }
}
