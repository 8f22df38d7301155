//! Self-booting images: a sealed image, with everything it is granted, behind the boot monitor.
//!
//! The image is the very same that the other monitors hold. Its address space is planned here as for
//! them and written down ([`sprat_abi::disk`]); the boot monitor makes it on the machine it boots.

mod assemble;
mod bios;
mod error;
mod instance;
mod qemu;
mod report;
mod running;
mod wire;

pub use assemble::assemble;
pub use bios::disk;
pub use error::DiskError;
pub use instance::DiskMonitor;
pub use qemu::{End, Machine, MachineKind, QEMU};
