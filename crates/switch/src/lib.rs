//! Moves frames between ports.
//!
//! A [`port`] is where frames enter or leave: a capture file, a generator, a sink, an instance's
//! device. This crate refuses to look into frames beyond what finding their way takes, and trusts
//! nothing an instance says.

pub mod port;
