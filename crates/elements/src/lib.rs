//! The Click element library.
//!
//! One folder a family, one file an element or a tight group; [`CLASSES`] lists them all. An
//! element's doc comment is its manual page. Elements see packets and their context and nothing
//! else: they run the same in a sealed image, in a process and in a simulation.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod analysis;
pub mod classification;
pub mod control;
pub mod device;
pub mod dump;
pub mod ethernet;
mod handler_call;
mod handler_value;
pub mod icmp;
pub mod ip;
pub mod ip6;
pub mod lookup;
pub mod nat;
mod quantity_text;
mod rate_average;
pub mod security;
pub mod selection;
pub mod shaping;
pub mod socket;
pub mod standard;
pub mod tcpudp;
#[cfg(test)]
mod testing;

use alloc::vec::Vec;

use sprat_click::{Class, Library};

use handler_value::{argument_value, handler_value, value_or};

/// The classes of each family.
pub const CLASSES: &[&[&Class]] = &[
    analysis::CLASSES,
    classification::CLASSES,
    control::CLASSES,
    device::CLASSES,
    dump::CLASSES,
    ethernet::CLASSES,
    icmp::CLASSES,
    ip::CLASSES,
    ip6::CLASSES,
    lookup::CLASSES,
    nat::CLASSES,
    security::CLASSES,
    shaping::CLASSES,
    socket::CLASSES,
    standard::CLASSES,
    tcpudp::CLASSES,
];

/// A library of every element.
pub fn library() -> Library {
    Library::new(&CLASSES.concat().into_iter().collect::<Vec<_>>())
}
