//! Keeps what was declared running.
//!
//! A person declares functions, ports and how they are joined in one [`file`](mod@file). The [`daemon`] keeps
//! that in a store and sees to it that each tenant has its [`lane`]s: a process with one switch on one
//! thread, which makes, watches and replaces its instances by itself. Lanes outlive the daemon. One
//! that comes back finds them by their sockets, and starts again what has died meanwhile; a lane that
//! dies is started again by the daemon.
//!
//! This crate refuses to carry frames, which the switch does, or to look into programs: what runs is
//! given to it whole.
#![forbid(unsafe_code)]

pub mod client;
pub mod control;
pub mod daemon;
mod descriptors;
pub mod desired;
pub mod file;
pub mod flows;
pub mod folders;
pub mod lane;
pub mod protocol;

/// Now, in milliseconds since 1970.
pub(crate) fn wall_milliseconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// What the command carries for those who run Click configurations.
#[derive(Clone, Copy, Debug)]
pub struct Programs {
    /// The middlebox image.
    pub click: &'static [u8],
    /// Its symbols and line tables.
    pub symbols: &'static [u8],
}
