//! Runs a Click router as an ordinary process, as Click's user-level driver does.
//!
//! A [`Process`] is the router's [`Environment`](sprat_click::environment::Environment): the
//! system's clocks or simulated ones, files, standard streams, sockets, signals, and network
//! devices: capture files, or interfaces of the host. [`Process::run`] takes a [`Driver`](sprat_click::driver::Driver)
//! through its steps and sleeps in `poll(2)` whenever a step says there is nothing to do.
//!
//! This crate knows no element: which ones there are, and how a configuration is read, comes in
//! with the router.
#![forbid(unsafe_code)]

mod capture;
mod clock;
mod control_sockets;
mod files;
mod handlers;
mod interface;
mod libraries;
mod multicast;
mod process;
mod raw;
mod readiness;
mod run;
mod signals;
mod sockets;
mod standard_output;

pub use capture::CaptureError;
pub use control_sockets::{ControlAddress, with_control_sockets};
pub use handlers::{exit_status, read_handlers};
pub use interface::{Interface, InterfaceAddresses, OpenInterface, OpenTunnel};
pub use libraries::Libraries;
pub use process::{Process, ProcessOptions};
