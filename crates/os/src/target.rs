//! The platform this program was compiled for.

use sprat_platform::Platform;

#[cfg(sprat_target = "vm")]
pub(crate) use sprat_platform_vm::Vm as Current;

#[cfg(not(sprat_target = "vm"))]
pub(crate) use sprat_platform_unix::Unix as Current;

/// The name of the target as a literal, for messages of the compiler.
#[cfg(sprat_target = "vm")]
#[doc(hidden)]
#[macro_export]
macro_rules! target_name {
    () => {
        "vm"
    };
}

/// The name of the target as a literal, for messages of the compiler.
#[cfg(not(sprat_target = "vm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! target_name {
    () => {
        "unix"
    };
}

/// A network device of this platform.
pub type NetworkDevice = <Current as Platform>::Network;

/// A block device of this platform.
pub(crate) type PlatformBlock = <Current as Platform>::Block;

/// A writable file of this platform.
pub type WritableFile = <Current as Platform>::OutputFile;

/// The name of the target this program was compiled for: `vm` or `unix`.
pub const TARGET: &str = Current::NAME;

/// The place this program runs in, for what the modules of this crate do not wrap.
#[must_use]
pub fn platform() -> &'static Current {
    Current::current()
}
