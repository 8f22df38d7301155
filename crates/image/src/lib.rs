//! Builds sealed images and reads what they say about themselves.
//!
//! [`build`] drives cargo with the flags that make a Rust program a sealed image (static, at a
//! fixed address, with this crate's linker script), checks the result as a monitor would, and
//! splits it in two: the [image](BuiltImage::image), which holds only what is loaded, and the
//! [sidecar](BuiltImage::sidecar), which holds symbols and line tables and is found by build id.
//! [`inspect()`] reads an image back: segments with their protections, its manifest, and its size
//! by crate when the sidecar is at hand.
//!
//! It refuses to build anything that depends on `libc`, and hands out no image with a segment
//! both writable and executable, without a build id, or without a manifest.
#![forbid(unsafe_code)]

mod builder;
mod compilation;
mod configuration;
mod difference;
mod elf;
mod error;
mod inspect;
mod job;
mod profile;
mod progress;
#[cfg(feature = "store")]
pub mod record;
mod references;
mod sizes;
#[cfg(feature = "store")]
pub mod store;
mod why;

pub use builder::{
    BOOT_MONITOR_PACKAGE, BootMonitor, BuildOptions, BuiltImage, Package, TARGET, build,
    build_binary, build_boot_monitor,
};
pub use compilation::Compilation;
pub use configuration::Configuration;
pub use difference::{Difference, difference};
pub use elf::{BuildId, Protection, Segment, split};
pub use error::{BuildError, ImageError};
pub use inspect::{Inspection, Parameter, WantedDevice, inspect};
pub use profile::Profile;
pub use progress::Progress;
pub use sizes::{CrateSize, Part, measure, treemap};
pub use why::{Use, Why, why};
