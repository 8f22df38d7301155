//! The boot monitor: holds one sealed image on a machine of its own, in ring 0.
//!
//! A self-booting image is this program and, behind it, the plan of an instance's address space
//! ([`sprat_abi::disk`]) with the very image that every other monitor runs. It is entered by a PVH or
//! Multiboot2 loader or by our boot sector (`entry`), reads what the firmware tells of the machine
//! ([`firmware`]), makes the page tables that the plan asks for ([`tables`]), looks for devices, and
//! calls the image. From then on it is what the instance's two calls lead to (`calls`): `yield` moves
//! frames and blocks between the instance's rings and the devices' queues and halts the processor until there is
//! something to do, `exit` powers off.
//!
//! # What holds an instance
//!
//! There is one ring and one address space, made before the first instruction of the image: nothing is
//! both writable and executable, page zero is not mapped, no stack has a page under it, and the page
//! tables themselves are not mapped at all. A fault ends the machine with a report.
//!
//! # What this crate refuses to do
//!
//! No second processor, no threads, no memory management after boot, no file systems. An interrupt's
//! handler counts and returns; whatever it was about is looked at by the one loop.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod acpi;
pub mod calendar;
pub mod firmware;
pub mod frames;
pub mod queue;
pub mod tables;
pub mod transfers;

#[cfg(sprat_target = "disk")]
mod bios;
#[cfg(sprat_target = "disk")]
mod calls;
#[cfg(sprat_target = "disk")]
mod cell;
#[cfg(sprat_target = "disk")]
mod clock;
#[cfg(sprat_target = "disk")]
mod console;
#[cfg(sprat_target = "disk")]
mod controller;
#[cfg(sprat_target = "disk")]
mod devices;
#[cfg(sprat_target = "disk")]
mod drive;
#[cfg(sprat_target = "disk")]
mod entry;
#[cfg(sprat_target = "disk")]
mod fault;
#[cfg(sprat_target = "disk")]
mod instance;
#[cfg(sprat_target = "disk")]
mod interrupts;
#[cfg(sprat_target = "disk")]
mod network;
#[cfg(sprat_target = "disk")]
mod pci;
#[cfg(sprat_target = "disk")]
mod ports;
#[cfg(sprat_target = "disk")]
mod power;
#[cfg(sprat_target = "disk")]
mod serial;
#[cfg(sprat_target = "disk")]
mod stacks;
#[cfg(sprat_target = "disk")]
mod start;
#[cfg(sprat_target = "disk")]
mod virtio;
#[cfg(sprat_target = "disk")]
mod window;
