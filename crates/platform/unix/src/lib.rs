//! The platform of ordinary programs: the same sources under a debugger, in a test, on a laptop.
//!
//! Each thread is a place of its own. A program that simply starts gets what its command line says
//! ([`Options::from_arguments`]); a test builds [`Options`] with in-memory [links](link()) and
//! [installs](Options::install) them on its thread before anything else asks for the platform.
//!
//! It moves frames between in-memory links, capture files and networks in user mode (ordinary sockets,
//! see [`sprat_usernet`]). A network device that the program needs and its command line says nothing
//! of is in a network in user mode, so that plain `cargo run` serves. There are no taps.
//! Block devices are files.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod alarm;
mod block;
mod link;
mod options;
mod place;
mod trace;
mod user;

pub use block::HostBlock;
pub use link::{Link, link};
pub use options::{OptionError, Options, USAGE};
pub use place::{Handle, HostFile, Unix, need_network};

use std::os::fd::BorrowedFd;
use std::time::Duration;

use sprat_packet::{Batch, Packet};

/// Says something on the standard error output. Nobody is left to tell that this is closed.
pub(crate) fn complain(text: std::fmt::Arguments<'_>) {
    let _ = std::io::Write::write_fmt(&mut std::io::stderr().lock(), format_args!("{text}\n"));
}

/// Where a device's frames come from and go to.
pub(crate) trait Wire {
    /// Adds frames that arrived; returns how many.
    fn receive(&mut self, pool: &sprat_packet::Pool, frames: &mut Batch, limit: usize) -> usize;
    /// Sends a frame.
    fn send(&mut self, packet: &Packet);
    /// Whether frames wait.
    fn has_frames(&self) -> bool;
    /// Whether frames may still come.
    fn is_open(&self) -> bool;
    /// Can be read when frames may have come.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// How long it can be left alone, whatever its descriptor says.
    fn patience(&self) -> Option<Duration> {
        None
    }
    /// Hands on everything held back; nothing is sent after that.
    fn finish(&mut self) {}
}

/// A network device of an ordinary program.
pub struct HostDevice {
    pub(crate) name: &'static str,
    pub(crate) index: usize,
    pub(crate) pool: sprat_packet::Pool,
    pub(crate) wire: std::rc::Rc<std::cell::RefCell<dyn Wire>>,
}

/// Longest frame an ordinary Ethernet carries, in bytes, with a VLAN tag and without the check
/// sequence.
const FRAME_LIMIT: usize = 1518;

impl sprat_platform::Network for HostDevice {
    fn name(&self) -> &'static str {
        self.name
    }

    fn index(&self) -> usize {
        self.index
    }

    fn address(&self) -> [u8; 6] {
        // Locally administered, by number.
        let [high, low] = u16::try_from(self.index).unwrap_or(u16::MAX).to_be_bytes();
        [0x02, 0, 0, 0, high, low]
    }

    fn frame_limit(&self) -> usize {
        FRAME_LIMIT
    }

    fn receive(&mut self, frames: &mut Batch, limit: usize) -> usize {
        self.wire.borrow_mut().receive(&self.pool, frames, limit)
    }

    fn transmit(&mut self, frames: &mut Batch) -> usize {
        let mut wire = self.wire.borrow_mut();
        let count = frames.len();
        for packet in frames.drain() {
            if packet.len() <= FRAME_LIMIT {
                wire.send(&packet);
            }
        }
        count
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn has_frames(&self) -> bool {
        self.wire.borrow().has_frames()
    }
}
