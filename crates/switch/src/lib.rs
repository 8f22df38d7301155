//! Moves frames between ports.
//!
//! A [`port`] is where frames enter or leave: a capture file, a generator, an interface of the host, a
//! network in user mode. A [`lane`] is the loop that carries frames between ports and an instance
//! that it runs to completion. This crate refuses to look into frames beyond what finding their way
//! takes, and trusts nothing an instance says.

pub mod lane;
pub mod port;
