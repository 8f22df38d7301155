//! What this binary carries, so that it runs alone on a bare machine: the middlebox image, and the
//! crates of the library OS.

/// The image with every element, as a monitor loads it.
#[cfg(carries_image)]
pub(crate) static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/click.image"));

/// Its symbols and line tables, for death reports and sizes by crate.
#[cfg(carries_image)]
pub(crate) static SYMBOLS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/click.symbols"));

/// The boot monitor, which makes a sealed image one that boots by itself.
#[cfg(carries_image)]
pub(crate) static BOOT_MONITOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/boot-monitor"));

/// Lints are run without building it: see build/main.rs.
#[cfg(not(carries_image))]
pub(crate) static BOOT_MONITOR: &[u8] = &[];

/// Lints are run without building the image: see build/main.rs.
#[cfg(not(carries_image))]
pub(crate) static IMAGE: &[u8] = &[];

/// Lints are run without building the image: see build/main.rs.
#[cfg(not(carries_image))]
pub(crate) static SYMBOLS: &[u8] = &[];

/// The library's files: the path and the bytes of each.
#[cfg(carries_image)]
pub(crate) static LIBRARY: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/library.rs"));

/// Lints are run without building the image: see build/main.rs.
#[cfg(not(carries_image))]
pub(crate) static LIBRARY: &[(&str, &[u8])] = &[];
