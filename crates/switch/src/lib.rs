//! Moves frames between ports.
//!
//! A [`port`] is where frames enter or leave: a capture file, a generator, an interface of the host, a
//! network in user mode. A [`lane`] is the loop that carries frames between ports and one instance
//! that it runs to completion, live or in a capture's own time; a [`switch`] does it for many, and
//! finds each frame's way between them. This crate refuses to look into frames beyond what finding
//! their way takes, and trusts nothing an instance says.

pub mod lane;
pub mod port;
pub mod switch;
