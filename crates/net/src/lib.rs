//! TCP, UDP, DHCP and DNS over frames.
//!
//! The protocols are smoltcp's; what is here decides which socket a frame is for, bounds what a
//! stranger can make the stack hold, keeps the timers, and gives sockets that are awaited and
//! implement the traits of embedded-io-async, so that crates written for those run unchanged.
//!
//! A [`Stack`] is a state machine: [`Stack::poll`] takes the time and the frames that came, and
//! leaves the frames to send; [`Stack::next_deadline`] says when it wants to be called though
//! nothing came. It owns no clock, no device and no thread. Who calls it is a task of the library
//! OS, or a simulated network in a test.
//!
//! The way of a frame: `demux` reads addresses and ports, an ordered table finds the one
//! socket they belong to, and smoltcp sees that socket alone. So the cost of a frame does not grow
//! with the number of connections. Sockets that want to send stand in a queue; each turn serves it
//! once.
//!
//! Everything is bounded: connections in all, half-open ones and those not yet accepted for each
//! listener, bytes for each socket. What does not fit is refused and [counted](Counters).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod configuration;
mod counters;
mod demux;
pub mod dns;
#[cfg(feature = "edge-nal")]
mod edge;
mod engine;
mod error;
mod family;
mod flows;
mod frames;
mod io;
#[cfg(feature = "multicast")]
mod multicast;
#[cfg(feature = "ipv6")]
mod neighbours;
#[cfg(feature = "simulation")]
pub mod simulation;
#[cfg(feature = "ipv6")]
mod slaac;
mod sockets;
mod stack;
mod tcp;
mod timers;
mod udp;

pub use configuration::{Configuration, Ipv4, Ipv6, Lease};
pub use counters::Counters;
pub use error::Error;
pub use family::parse as parse_address;
pub use stack::{Options, Stack};
pub use tcp::{TcpListener, TcpOptions, TcpReader, TcpStream, TcpWriter};
pub use timers::{Elapsed, Sleep};
pub use udp::{Datagram, UdpOptions, UdpSocket};
