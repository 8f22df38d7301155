//! The interfaces that services are written against, each with implementations that need no
//! machine: an application, a driver and the stack can be tried alone, on the host, in memory.
//!
//! An interface is a trait; what stands behind it is chosen where an image is put together and not
//! in the application. This crate has the traits and everything that is made of memory alone; what
//! reaches a monitor or a host is with the platforms.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod block;
mod clock;
mod console;
mod key_value;
mod random;
#[cfg(test)]
mod testing;

pub use block::{Block, BlockError, MemoryBlock};
pub use clock::{Clock, ManualClock};
pub use console::{Console, MemoryConsole};
pub use key_value::{Folder, KeyValue, KeyValueMut, MemoryStore};
pub use random::{ChaCha, Random};
