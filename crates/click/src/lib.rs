//! The Click language, the router graph and its scheduler.
//!
//! A configuration text becomes a [`graph::Flat`] (`language`), the flat graph a
//! [`router::Router`] ([`router::Builder`]), and a [`driver::Driver`] runs it. What the elements
//! do is not here: classes come in a [`library::Library`]. What is outside comes in as an
//! [`environment::Environment`]. See [`element`] for how to write an element and [`router`] for
//! how a packet flows.
//!
//! This crate reads no clock, opens no file and knows no protocol.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod agent;
pub mod arguments;
pub mod collections;
pub mod configure;
pub mod context;
pub mod decimal;
pub mod diagnostics;
pub mod driver;
pub mod element;
pub mod environment;
pub mod graph;
pub mod handler;
pub mod language;
pub mod library;
pub mod names;
pub mod router;
pub mod simulation;
pub mod state;
pub mod time;

pub use agent::Agent;
pub use arguments::{Arguments, Rejected};
pub use configure::{Configuration, ElementId};
pub use context::Context;
pub use element::{Class, Configure, Element, Phase, Signals};
pub use handler::{HandlerError, HandlerFlags, HandlerList};
pub use library::Library;
pub use router::Router;
pub use time::{Instant, Timestamp};
