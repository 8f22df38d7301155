//! The platform of sealed images: a program alone in its address space, under a monitor.
//!
//! The monitor enters the image at `_start` (`entry`), which attaches to the contract
//! ([`sprat_abi::guest`]), gives the heap to the allocator and calls the application. What the
//! library OS asks for afterwards goes through [`Vm`]. There is one thread, nothing interrupts it,
//! and nothing but the contract's two calls ever leaves it.
//!
//! The crate also brings what a Rust program finds in its C library elsewhere: the memory functions
//! ([`sprat_platform_memory`]), the heap and the panic handler. Those symbols exist in images only, so
//! that the rest can be tested as an ordinary program.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod block;
#[cfg(sprat_target = "vm")]
mod entry;
#[cfg(sprat_target = "vm")]
mod heap;
mod machine;
mod network;

pub use block::RingBlock;
pub use machine::{File, Vm};
pub use network::RingDevice;

/// How many bytes of heap are in use, and how many there are.
#[cfg(sprat_target = "vm")]
pub use heap::usage as heap_usage;
