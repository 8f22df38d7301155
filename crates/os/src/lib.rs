//! The library operating system of sealed images.
//!
//! A service is an ordinary Rust program whose first function is `#[sprat::main] async fn main(env:
//! Env) -> Result<()>` ([`main`](macro@main)). It is written as tasks on the instance's one thread
//! ([`spawn`], [`time::sleep`], [`channel`]); [`Env`] gives it its devices by name. A program that is
//! written straight through names its first function with [`entry!`] and what it wants of its
//! monitor with [`manifest!`]. [`control`] answers handlers that are read and written from outside,
//! [`metrics`] are read there too; the `log` crate writes to the console.
//!
//! Where it runs is chosen when it is compiled: `sprat build` makes a sealed image, plain `cargo
//! build` an ordinary Linux program from the same sources. There are no threads, no blocking calls
//! and no hidden state outside of these modules.
#![cfg_attr(sprat_target = "vm", no_std)]

extern crate alloc;

mod application;
mod block;
pub mod channel;
mod clock;
pub mod control;
#[cfg(feature = "edge-nal")]
mod embassy;
mod env;
mod error;
mod executor;
mod inside;
mod local;
mod logging;
pub mod metrics;
#[cfg(feature = "net")]
pub mod net;
pub mod network;
pub mod parameters;
pub mod place;
mod ready;
#[doc(hidden)]
pub mod service;
mod target;
mod task;
pub mod time;

pub use application::{Failure, Outcome, Status, exit, start, start_async};
pub use async_task::Task;
pub use block::BlockDevice;
pub use clock::{SystemClock, SystemConsole, random};
pub use env::{Env, EnvError};
pub use error::{Error, Result};
pub use executor::{run, spawn, spawn_named, wait_until, yield_now};
pub use log;
pub use logging::{LevelError, set_levels};
pub use parameters::declare as declare_parameters;
/// The contract with the monitor, for manifests.
pub use sprat_abi as abi;
pub use sprat_devices as devices;
pub use sprat_macros::{include_folder, main};
pub use sprat_packet as packet;
/// What platforms offer beyond what this crate wraps.
pub use sprat_platform::{Network, OutputFile, Platform};
#[cfg(not(sprat_target = "vm"))]
pub use sprat_platform_unix as unix;
/// A log, and values by key, on a block device.
#[cfg(feature = "store")]
pub use sprat_store as store;
pub use target::{NetworkDevice, TARGET, WritableFile, platform};
