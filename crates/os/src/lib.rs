//! The library operating system of sealed images.
//!
//! An application is an ordinary Rust program that names its first function with [`main!`] and what
//! it wants of its monitor with [`manifest!`]. It may be written straight through, or as `async`
//! tasks on the instance's one thread ([`spawn`], [`time::sleep`], [`network::Device::receive`]).
//! Devices move batches of packets; [`control`] answers handlers that are read and written from
//! outside; the `log` crate writes to the console.
//!
//! Where it runs is chosen when it is compiled: `sprat build` makes a sealed image, plain `cargo
//! build` an ordinary Linux program from the same sources. There are no threads, no blocking calls
//! and no hidden state outside of these modules.
#![cfg_attr(sprat_target = "vm", no_std)]

extern crate alloc;

mod application;
pub mod control;
mod executor;
mod local;
mod logging;
pub mod network;
pub mod parameters;
pub mod place;
mod target;
pub mod time;

pub use application::{Failure, Outcome, Status, exit, start, start_async};
pub use async_task::Task;
pub use executor::{run, spawn, wait_until, yield_now};
pub use log;
pub use logging::{LevelError, set_levels};
pub use parameters::declare as declare_parameters;
/// The contract with the monitor, for manifests.
pub use sprat_abi as abi;
pub use sprat_packet as packet;
/// What platforms offer beyond what this crate wraps.
pub use sprat_platform::{Network, OutputFile, Platform};
#[cfg(not(sprat_target = "vm"))]
pub use sprat_platform_unix as unix;
pub use target::{NetworkDevice, TARGET, WritableFile, platform};
