//! Monitors: the host code that holds one instance each.
//!
//! An [`Image`] is judged and loaded once. A [`Monitor`] creates [`Instance`]s of it with what
//! [`Options`] grant. Between entries the host uses the instance's [`Shared`] memory: it delivers frames,
//! drains what was sent, reads console, files and statistics.
//!
//! ```no_run
//! # use sprat_monitor::*;
//! # use std::time::Duration;
//! let image = Image::load(&std::fs::read("hello.elf")?)?;
//! let monitor = open(None)?.monitor;
//! let mut instance = monitor.create(&image, &Options::default())?;
//! loop {
//!     match instance.enter(Duration::from_millis(100), false)? {
//!         Outcome::Yielded { .. } | Outcome::OutOfBudget => {}
//!         Outcome::Exited { status } => break println!("status {status}"),
//!         Outcome::Faulted(report) => break println!("{report}"),
//!     }
//!     let mut text = [0; 4096];
//!     let count = instance.shared().read_console(&mut text)?;
//!     print!("{}", String::from_utf8_lossy(&text[..count]));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds an instance
//!
//! Whatever the monitor, the address space of an instance is made before its first instruction and is
//! never changed after: text can be read and executed, read-only data read, data and stack never
//! executed; an unmapped page stands under the stack, and page zero and everything that was not granted
//! is unmapped. All that the host reads from an instance is checked; see [`sprat_abi::host`].
//!
//! # What this crate refuses to do
//!
//! It schedules nothing and knows no network: lanes and ports are the switch's. It opens no files but
//! `/dev/kvm` and those of `/proc` that it needs: what an instance gets is granted as open files.

mod blocks;
#[cfg(test)]
mod breach_tests;
mod clock;
mod confine;
pub mod disk;
mod image;
mod instance;
mod layout;
mod memory;
mod options;
mod pool;
mod process;
mod report;
mod sealing;
mod shared;
mod stopwatch;
mod symbols;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tick;
mod usage;
mod vm;

pub use clock::{StandingTime, monotonic_now, start_counting};
pub use confine::{Confinement, confine, keep_descriptors};
pub use image::{FILE_LIMIT, Image, ImageError, Protection, Segment, judge};
pub use instance::{CreationTimes, Death, Instance, MemoryUse, Monitor, MonitorError, Outcome};
pub use layout::LayoutError;
pub use memory::SystemError;
pub use options::{Grant, GrantedDevice, Options, OptionsError};
pub use process::ProcessMonitor;
pub use report::{BACKTRACE_LIMIT, Cause, FaultReport, Frame, Name, Registers, page_fault, vector};
pub use shared::Shared;
pub use sprat_abi::boot::MonitorKind;
pub use symbols::{Symbols, SymbolsError, build_id_text};
pub use tick::TICK;
pub use vm::VmMonitor;

use layout::{Content, Plan};

/// A monitor, and why it is this one.
#[derive(Debug)]
pub struct Chosen {
    /// The monitor.
    pub monitor: Box<dyn Monitor>,
    /// Why it is not the vm monitor, if nobody asked for another.
    pub fallback: Option<MonitorError>,
}

/// Opens a monitor of this kind; with `None` the vm monitor where it can be had, else the process
/// monitor.
///
/// # Errors
/// If the one asked for cannot be had.
pub fn open(kind: Option<MonitorKind>) -> Result<Chosen, MonitorError> {
    let process = |fallback| Chosen {
        monitor: Box::new(ProcessMonitor::new()),
        fallback,
    };
    match (kind, VmMonitor::open) {
        (Some(MonitorKind::Process), _) => Ok(process(None)),
        // A machine of its own is no monitor of this host's.
        (Some(MonitorKind::Disk), _) => Err(MonitorError::OwnMachine),
        (kind, open) => match (open(), kind) {
            (Ok(monitor), _) => Ok(Chosen {
                monitor: Box::new(monitor),
                fallback: None,
            }),
            (Err(error), None) => Ok(process(Some(error))),
            (Err(error), Some(_)) => Err(error),
        },
    }
}

/// The random bytes of a new instance.
fn seed(options: &Options) -> Result<[u8; 32], SystemError> {
    if let Some(seed) = options.seed {
        return Ok(seed);
    }
    let mut seed = [0; 32];
    // SAFETY: the buffer is as long as is said. So few bytes always come whole.
    let count = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    if count == 32 {
        Ok(seed)
    } else {
        Err(SystemError::last("getting random bytes"))
    }
}

/// What lies where a fault's address points.
fn report_region(plan: &Plan, cause: &Cause) -> Option<&'static str> {
    let &Cause::Exception {
        address: Some(address),
        ..
    } = cause
    else {
        return None;
    };
    let stack = plan.boot.stack;
    if address < sprat_abi::PAGE_SIZE {
        return Some("page zero");
    }
    if (stack.address - sprat_abi::PAGE_SIZE..stack.address).contains(&address) {
        return Some("stack guard");
    }
    if (layout::SUPERVISOR_ADDRESS..layout::SUPERVISOR_ADDRESS + 0x2000).contains(&address) {
        return Some("supervisor pages");
    }
    let piece = plan
        .pieces
        .iter()
        .find(|piece| (piece.address..piece.address + piece.length).contains(&address))?;
    Some(match (piece.content, piece.protection) {
        (Content::Image(_), Protection::ReadExecute) => "image text",
        (Content::Image(_), Protection::Read) => "image read-only data",
        (Content::Image(_), Protection::ReadWrite) => "image data",
        (Content::Contract(_), Protection::Read) => "boot page",
        (Content::Contract(_), Protection::ReadExecute) => "call page",
        (Content::Contract(_), Protection::ReadWrite) => "rings",
        (Content::Pool, _) => "buffer pool",
        (Content::File(_), _) => "granted file",
        (Content::Zero, _) if piece.address == stack.address => "stack",
        (Content::Zero, _) => "heap",
    })
}
